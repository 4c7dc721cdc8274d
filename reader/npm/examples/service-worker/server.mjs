// The site's server: the page's files, where the lists are, and keys for the service worker of whoever is logged in.
//
//   KLSTORE_BUCKET=demo KLSTORE_ENDPOINT=http://127.0.0.1:9000 node server.mjs KEYSPACE KEY
//
// with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. In production they would be temporary ones that may only read what this
// user may (STS AssumeRole with a session policy), with their `expiration`; and /credentials would look at the session.

import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';

const [keyspace = 'sensors', key = 'kitchen'] = process.argv.slice(2);
const { KLSTORE_BUCKET: bucket, KLSTORE_ENDPOINT: endpoint, AWS_REGION: region = 'us-east-1', PORT = '8080' } = process.env;
const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = process.env;

const FILES = {
  '/': 'public/index.html',
  '/main.js': 'public/main.js',
  '/service-worker.js': 'public/service-worker.js',
  '/aws4fetch.js': 'node_modules/aws4fetch/dist/aws4fetch.esm.js',
  '/klstore/browser.js': 'node_modules/klstore/dist/browser.js',
  '/klstore/klstore.wasm': 'node_modules/klstore/dist/klstore.wasm',
};
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.wasm': 'application/wasm' };
const ANSWERS = {
  '/store.json': () => ({ bucket, endpoint, region, keyspace, key }),
  '/credentials': () => ({ accessKeyId, secretAccessKey, expiration: new Date(Date.now() + 3_600_000) }),
};

const server = createServer(async ({ url }, response) => {
  const { pathname } = new URL(url, 'http://site');
  if (Object.hasOwn(ANSWERS, pathname)) {
    const headers = { 'content-type': 'application/json', 'cache-control': 'no-store' };
    response.writeHead(200, headers).end(JSON.stringify(ANSWERS[pathname]()));
  } else if (Object.hasOwn(FILES, pathname)) {
    const file = new URL(FILES[pathname], import.meta.url);
    response.writeHead(200, { 'content-type': TYPES[extname(file.pathname)] }).end(await readFile(file));
  } else {
    response.writeHead(404).end();
  }
});
server.listen(Number(PORT), '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}/`));
