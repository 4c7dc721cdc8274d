// A web site of static files, and of functions: the other origin from which pages read lists.

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';

const TYPES = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
};

/**
 * Serves `folder` at `origin`. `routes` are functions by path: `async (url, body) => text`, or `{ type, text }`. `headers`
 * go with each file.
 */
export async function startSite(folder, routes = {}, headers = {}) {
  const server = createServer(async (request, response) => {
    const url = new URL(request.url, 'http://site');
    try {
      const route = routes[url.pathname];
      if (route) {
        const body = [];
        for await (const piece of request) body.push(piece);
        const answer = await route(url, Buffer.concat(body).toString());
        const { type = 'text/plain', text = answer } = typeof answer === 'object' ? answer : {};
        response.writeHead(200, { 'content-type': type, 'access-control-allow-origin': '*' }).end(text);
        return;
      }
      const path = normalize(decodeURIComponent(url.pathname)).replace(/\/$/, '/index.html');
      const bytes = await readFile(join(folder, path));
      response.writeHead(200, { ...headers, 'content-type': TYPES[extname(path)] ?? 'application/octet-stream' }).end(bytes);
    } catch (error) {
      const status = error.code === 'ENOENT' || error.code === 'EISDIR' ? 404 : 500;
      response.writeHead(status, { 'access-control-allow-origin': '*' }).end(String(error));
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${server.address().port}`;
  const stop = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  return { origin, stop };
}
