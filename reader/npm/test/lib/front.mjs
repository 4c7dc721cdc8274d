// Stands before the S3 server, at another port: counts what comes, and does wrong on demand. Everything else passes
// through as it is, so that signatures stay right (the server answers to `localhost` at any port).

import { createServer, request as httpRequest } from 'node:http';

export async function startFront(target) {
  const front = new Front(target);
  await front.listen();
  return front;
}

class Front {
  /** Each request so far: `{ method, path, query, range, headers, status, began, ended, aborted }`. */
  requests = [];
  /**
   * What to do with a request instead of passing it on: a function of its record that answers nothing, or
   * `{ status, headers, body }` for an answer of its own, `{ change(answer) }` for the server's answer changed, or
   * `{ stallAfter }` for one that stops after so many bytes.
   */
  fault = () => undefined;

  #target;
  #first;
  #server;
  #sockets = new Set();

  constructor(target) {
    this.#first = target;
    this.target = target;
    this.#server = createServer((request, response) => this.#serve(request, response).catch(() => response.destroy()));
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  /** The server that it was started for. */
  get first() {
    return this.#first;
  }

  /** Where requests go from now on: another server is a bucket that was created anew. */
  set target(endpoint) {
    this.#target = new URL(endpoint);
  }

  async listen() {
    await new Promise((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    this.endpoint = `http://localhost:${this.#server.address().port}`;
  }

  /** Forgets what was counted and what it should do wrong. */
  reset() {
    this.requests = [];
    this.fault = () => undefined;
  }

  count(method) {
    return this.requests.filter((request) => request.method === method).length;
  }

  /** The most requests of which each began only after the one before it had ended: round trips that a reader waits for. */
  get rounds() {
    let rounds = 0;
    let free = -Infinity;
    for (const { began, ended } of [...this.requests].sort((a, b) => a.ended - b.ended)) {
      if (began < free) continue;
      rounds += 1;
      free = ended;
    }
    return rounds;
  }

  /** The most requests that were under way at one time. */
  get mostAtOnce() {
    const moments = this.requests.flatMap(({ began, ended }) => [[began, 1], [ended, -1]]);
    moments.sort(([a, up], [b, other]) => a - b || up - other);
    let [now, most] = [0, 0];
    for (const [, step] of moments) most = Math.max(most, (now += step));
    return most;
  }

  async stop() {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(request, response) {
    const { pathname, searchParams } = new URL(request.url, this.endpoint);
    const record = {
      method: request.method,
      path: decodeURIComponent(pathname),
      query: searchParams,
      range: request.headers.range,
      headers: request.headers,
      began: performance.now(),
      ended: Infinity,
      aborted: false,
    };
    this.requests.push(record);
    response.once('close', () => {
      record.ended = performance.now();
      record.aborted = !response.writableFinished;
    });
    const fault = (await this.fault(record)) ?? {};
    let answer = fault.status ? fault : await this.#pass(request);
    if (fault.change) answer = (await fault.change(answer)) ?? answer;
    record.status = answer.status;
    response.writeHead(answer.status, answer.headers);
    if (fault.stallAfter !== undefined) {
      // The rest never comes.
      response.write(answer.body.subarray(0, fault.stallAfter));
      return;
    }
    if (typeof answer.body?.pipe === 'function') answer.body.pipe(response);
    else response.end(answer.body);
  }

  async #pass({ method, url, headers }) {
    const { hostname, port } = this.#target;
    const answer = await new Promise((resolve, reject) => {
      httpRequest({ hostname, port, method, path: url, headers, agent: false }, resolve).once('error', reject).end();
    });
    const body = [];
    for await (const piece of answer) body.push(piece);
    const { connection, ...kept } = answer.headers;
    return { status: answer.statusCode, headers: kept, body: Buffer.concat(body) };
  }
}
