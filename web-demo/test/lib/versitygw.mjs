// versitygw over a temporary folder: another S3 server, with CORS rules that belong to a bucket as they do on AWS.

import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { AwsClient } from 'aws4fetch';

import { run, start } from '../../../reader/npm/test/lib/processes.mjs';
import { klstore } from './programs.mjs';

export const KEYS = { accessKeyId: 'AKVERSITY', secretAccessKey: 'a-secret-of-versitygw' };
const REGION = 'us-east-1';

export async function startVersitygw(bucket) {
  const program = process.env.KLSTORE_TEST_VERSITYGW;
  if (!program) throw new Error('KLSTORE_TEST_VERSITYGW is not set: script/test web sets it');
  const folder = await mkdtemp(join(tmpdir(), 'klstore-web-versitygw-'));
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const env = { ROOT_ACCESS_KEY: KEYS.accessKeyId, ROOT_SECRET_KEY: KEYS.secretAccessKey };
  const args = ['--port', `127.0.0.1:${port}`, '--region', REGION, 'posix', folder];
  // What it says at its start names the port, a moment before it listens.
  const isReady = (said) => (said.includes(String(port)) ? true : undefined);
  const server = await start(program, args, { env, cwd: folder, isReady });
  const store = new Versitygw(endpoint, bucket, server, folder);
  await store.begin();
  return store;
}

class Versitygw {
  #server;
  #folder;
  #client = new AwsClient({ ...KEYS, service: 's3', region: REGION, retries: 0 });

  constructor(endpoint, bucket, server, folder) {
    this.endpoint = endpoint;
    this.bucket = bucket;
    this.#server = server;
    this.#folder = folder;
  }

  async begin() {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await this.#put('');
      } catch (error) {
        if (attempt === 50) throw error;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  }

  /** Sets the bucket's rules, given as AWS's console takes them. */
  putCors(rules) {
    const tags = { AllowedOrigins: 'AllowedOrigin', AllowedMethods: 'AllowedMethod', AllowedHeaders: 'AllowedHeader', ExposeHeaders: 'ExposeHeader' };
    const xml = rules.map((rule) => {
      const lines = Object.entries(rule).flatMap(([name, value]) =>
        Array.isArray(value) ? value.map((each) => `<${tags[name]}>${each}</${tags[name]}>`) : `<${name}>${value}</${name}>`,
      );
      return `<CORSRule>${lines.join('')}</CORSRule>`;
    });
    return this.#put('?cors', `<CORSConfiguration>${xml.join('')}</CORSConfiguration>`);
  }

  /** Lets anybody read and list. */
  putPublicRead() {
    const arn = `arn:aws:s3:::${this.bucket}`;
    const allow = (Action, Resource) => ({ Effect: 'Allow', Principal: '*', Action, Resource });
    const policy = { Version: '2012-10-17', Statement: [allow('s3:GetObject', `${arn}/*`), allow('s3:ListBucket', arn)] };
    return this.#put('?policy', JSON.stringify(policy));
  }

  klstore(args, { input } = {}) {
    const env = {
      AWS_ACCESS_KEY_ID: KEYS.accessKeyId,
      AWS_SECRET_ACCESS_KEY: KEYS.secretAccessKey,
      KLSTORE_ENDPOINT: this.endpoint,
      KLSTORE_BUCKET: this.bucket,
    };
    return run(klstore, args, { env, input });
  }

  async stop() {
    await this.#server.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #put(query, body) {
    const url = `${this.endpoint}/${this.bucket}${query}`;
    const digest = createHash('md5').update(body ?? '').digest('base64');
    const answer = await this.#client.fetch(url, { method: 'PUT', body, headers: { 'content-md5': digest } });
    if (!answer.ok) throw new Error(`PUT ${url}: ${answer.status} ${await answer.text()}`);
  }
}

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
