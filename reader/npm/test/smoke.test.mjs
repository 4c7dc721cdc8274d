// The built package in Node against `klstore s3`, beside what the conformance suite covers.
//
//   KLSTORE_BIN=target/debug/klstore node --test test/smoke.test.mjs

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import binaryen from 'binaryen';
import { open } from '../dist/node.js';

const BIN = process.env.KLSTORE_BIN ?? '../../target/debug/klstore';
const KEYS = { accessKeyId: 'AKSMOKE', secretAccessKey: 'smoke-secret' };
const ITEMS = 3_000;
const valueOf = (number) => `item ${number} ${'with text that compresses '.repeat(number % 9)}`;

let folder, server, endpoint, options;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'klstore-smoke-'));
  const env = {
    ...process.env,
    AWS_ACCESS_KEY_ID: KEYS.accessKeyId,
    AWS_SECRET_ACCESS_KEY: KEYS.secretAccessKey,
    KLSTORE_BUCKET: 'lists',
  };
  server = spawn(BIN, ['s3', '--dir', folder, '--addr', '127.0.0.1:0', '--cors-origin', '*'], { env });
  endpoint = await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.stdout.on('data', (data) => resolve(/http:\/\/[\d.:]+/.exec(data)[0]));
  });
  const klstore = (args, input) => {
    const { status, stderr } = spawnSync(BIN, args, { env: { ...env, KLSTORE_ENDPOINT: endpoint }, input });
    assert.equal(status, 0, String(stderr));
  };
  klstore(['keyspace', 'create', 'smoke']);
  const lines = Array.from({ length: ITEMS }, (_, number) =>
    JSON.stringify({ nonce: String(number * 2), timestamp: 1_700_000_000_000 + number * 1_000, value: valueOf(number) }),
  );
  const fields = ['--nonce-field', 'nonce', '--timestamp-field', 'timestamp', '--value-field', 'value'];
  klstore(['append', 'smoke', 'list', '--format', 'ndjson', ...fields], lines.join('\n'));
  options = { bucket: 'lists', endpoint, credentials: KEYS };
});

after(async () => {
  server?.kill();
  await rm(folder, { recursive: true, force: true });
});

test('items, forwards and backwards, are those that were appended', async (t) => {
  const store = await opened(t);
  for (const order of ['forwards', 'backwards']) {
    let seen = 0;
    for await (const item of store.items('smoke', 'list', { order, pageSize: 701 })) {
      const number = order === 'forwards' ? seen : ITEMS - 1 - seen;
      assert.equal(item.offset, BigInt(number));
      assert.equal(item.nonce, BigInt(number * 2));
      assert.equal(item.date.getTime(), 1_700_000_000_000 + number * 1_000);
      assert.equal(item.text(), valueOf(number));
      seen += 1;
    }
    assert.equal(seen, ITEMS);
  }
});

test('starts, limits and continuations', async (t) => {
  const store = await opened(t);
  const date = new Date(1_700_000_000_000 + 500_500);
  const page = await store.readPage('smoke', 'list', { startTimestamp: date, maxItems: 3 });
  assert.deepEqual(page.items.map(({ offset }) => offset), [501n, 502n, 503n]);
  const next = await store.readPage('smoke', 'list', { continuation: page.continuation, maxItems: 1 });
  assert.equal(next.items[0].offset, 504n);
  const byNonce = await store.readPage('smoke', 'list', { startNonce: 1_999n, order: 'backwards', maxItems: 1 });
  assert.equal(byNonce.items[0].nonce, 1_998n);
  let count = 0;
  for await (const _ of store.items('smoke', 'list', { maxItems: 1_234, pageSize: 500 })) count += 1;
  assert.equal(count, 1_234);
});

test('a time line is the whole list', async (t) => {
  const store = await opened(t);
  const line = await store.timeline('smoke', 'list');
  assert.equal(line.spans.reduce((sum, { itemCount }) => sum + itemCount, 0n), BigInt(ITEMS));
  assert.equal(line.itemCount, BigInt(ITEMS));
  assert.ok(line.stats.lists + line.stats.gets <= 4);
  assert.equal(await store.timeline('smoke', 'nothing'), null);
});

test('an abort in the middle of a page ends the call and its requests', async (t) => {
  const controller = new AbortController();
  let aborted = 0;
  const slow = async (url, init) => {
    const response = await fetch(url, init);
    init.signal.addEventListener('abort', () => (aborted += 1));
    setTimeout(() => controller.abort(new Error('enough')), 5);
    await new Promise((resolve) => setTimeout(resolve, 50));
    return response;
  };
  const store = await opened(t, { fetch: slow });
  await assert.rejects(store.readPage('smoke', 'list', { signal: controller.signal }), /enough/);
  assert.equal(aborted, 1);
});

test('keys from a provider: asked once, again where the store refuses them', async (t) => {
  let asked = 0;
  const provider = async () => (++asked === 1 ? { ...KEYS, secretAccessKey: 'expired' } : KEYS);
  const store = await opened(t, { credentials: provider });
  await Promise.all([store.stat('smoke'), store.stat('smoke'), store.stat('smoke', 'list')]);
  assert.equal(asked, 2);
});

test('a provider that fails is named, and its error is the cause', async (t) => {
  const cause = new Error('no session');
  const store = await opened(t, { credentials: () => Promise.reject(cause) });
  await assert.rejects(store.stat('smoke'), (error) => error.code === 'Credentials' && error.cause.cause === cause);
});

test('a clock that is wrong is put right by what the store says', async (t) => {
  const now = Date.now;
  Date.now = () => now() - 3 * 3_600_000;
  try {
    const store = await opened(t);
    assert.equal((await store.stat('smoke')).keyspace, 'smoke');
  } finally {
    Date.now = now;
  }
});

test('no error shows a key or a signature', async (t) => {
  const url = await closedPort();
  const store = await opened(t, { endpoint: url, retry: { attempts: 1 } });
  const error = await store.stat('smoke').catch((error) => error);
  assert.equal(error.code, 'Unavailable');
  const { inspect } = await import('node:util');
  assert.doesNotMatch(inspect(error, { depth: 9 }), /X-Amz|AKSMOKE|smoke-secret/);
});

test('a trap is a typed error, and the next call works', async (t) => {
  const store = await opened(t, { wasm: await trapsAt('operation_poll', 7) });
  const calls = Array.from({ length: 4 }, () => store.stat('smoke', 'list'));
  for (const { reason } of await Promise.allSettled(calls)) assert.equal(reason?.code, 'Internal');
  assert.equal((await store.stat('smoke', 'list')).itemCount, BigInt(ITEMS));
});

test('ten thousand pages leave no memory behind', { skip: !process.env.KLSTORE_LONG }, async (t) => {
  const store = await opened(t);
  const turn = async (pages) => {
    for (let page = 0; page < pages; page++) await store.readPage('smoke', 'list', { startOffset: page % 2_900, maxItems: 100 });
    globalThis.gc?.();
    return process.memoryUsage().arrayBuffers + process.memoryUsage().external;
  };
  const early = await turn(1_000);
  const late = await turn(9_000);
  assert.ok(late < early + 4 * 2 ** 20, `${early} bytes, then ${late}`);
});

/** A store that is closed when the test is over. */
async function opened(t, more) {
  const store = await open({ ...options, ...more });
  t.after(() => store.close());
  return store;
}

async function closedPort() {
  const listening = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => listening.once('listening', resolve));
  const { port } = listening.address();
  await new Promise((resolve) => listening.close(resolve));
  return `http://127.0.0.1:${port}`;
}

/** The package's module, in each instance of which this call of this function traps. */
async function trapsAt(name, call) {
  const module = binaryen.readBinary(await readFile(new URL('../dist/klstore.wasm', import.meta.url)));
  const { value } = binaryen.getExportInfo(module.getExport(name));
  const { body, results } = binaryen.getFunctionInfo(module.getFunction(value));
  module.addGlobal('calls', binaryen.i32, true, module.i32.const(0));
  const counted = module.global.set('calls', module.i32.add(module.global.get('calls', binaryen.i32), module.i32.const(1)));
  const reached = module.i32.eq(module.global.get('calls', binaryen.i32), module.i32.const(call));
  const block = module.block(null, [counted, module.if(reached, module.unreachable()), body], results);
  binaryen._BinaryenFunctionSetBody(module.getFunction(value), block);
  return WebAssembly.compile(module.emitBinary());
}
