// The embedded S3 server, `klstore s3`, and lists in it that the native `klstore append` wrote.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { run, start } from './processes.mjs';

export const KEYS = { accessKeyId: 'AKCONFORMANCE', secretAccessKey: 'a-secret-that-no-error-may-show' };
export const BUCKET = 'lists';

export const program = process.env.KLSTORE_BIN ?? new URL('../../../../target/debug/klstore', import.meta.url).pathname;
const environment = {
  AWS_ACCESS_KEY_ID: KEYS.accessKeyId,
  AWS_SECRET_ACCESS_KEY: KEYS.secretAccessKey,
  KLSTORE_BUCKET: BUCKET,
};

/**
 * Starts a server with an empty bucket. `origins` are those whose pages may use it; `anonymousRead` lets them without keys. It answers to `localhost` at any port
 * too, so that a front (front.mjs) can stand before it.
 */
export async function startS3({ bucket = BUCKET, origins = ['*'], anonymousRead = false } = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'klstore-npm-s3-'));
  const args = ['s3', '--dir', folder, '--addr', '127.0.0.1:0', '--host-name', 'localhost'];
  if (anonymousRead) args.push('--anonymous-read');
  for (const origin of origins) args.push('--cors-origin', origin);
  const env = { ...environment, KLSTORE_BUCKET: bucket };
  const server = await start(program, args, { env, isReady: (said) => /http:\/\/[\d.]+:\d+/.exec(said)?.[0] });
  return new S3(server, folder, bucket);
}

class S3 {
  #server;
  #folder;
  #bucket;

  constructor(server, folder, bucket) {
    this.#server = server;
    this.#folder = folder;
    this.#bucket = bucket;
    this.endpoint = server.ready;
  }

  /** What `open` takes to reach it. */
  get options() {
    return { bucket: this.#bucket, endpoint: this.endpoint, credentials: KEYS };
  }

  /** Runs a command of `klstore` against it. */
  klstore(args, { input, config } = {}) {
    const env = { ...environment, KLSTORE_BUCKET: this.#bucket, KLSTORE_ENDPOINT: this.endpoint, ...(config && { KLSTORE_CONFIG: config }) };
    return run(program, args, { env, input });
  }

  createKeyspace(keyspace) {
    return this.klstore(['keyspace', 'create', '--', keyspace]);
  }

  /** Appends items by one run of the command: one commit at least. `key` may be left out where each item has its own. */
  async append(keyspace, key, items, { codec } = {}) {
    const config = await this.#config(codec ?? 'zstd');
    const input = items.map(line).join('\n');
    await this.klstore(['append', '--format', 'ndjson', '--', keyspace, ...(key === undefined ? [] : [key])], { input, config });
  }

  async #config(codec) {
    const path = join(this.#folder, `${codec}.ini`);
    await writeFile(path, `[s3]\ncodec=${codec}\nmax_future_skew_millis=none\n`);
    return path;
  }

  async stop() {
    await this.#server.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

function line({ key, nonce, timestamp, value }) {
  const base64 = Buffer.from(value).toString('base64');
  const number = String(nonce ?? '');
  // JSON's numbers hold 53 bits; the command reads more, which must be written by hand.
  const fields = [`"timestamp":${timestamp}`, `"value_base64":"${base64}"`];
  if (number !== '') fields.push(`"nonce":"${number}"`);
  if (key !== undefined) fields.push(`"key":${JSON.stringify(key)}`);
  return `{${fields.join(',')}}`;
}
