// Answers that are small on the wire and large once unpacked, or that never end: what the module takes for them is bounded.

import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { createGzip } from 'node:zlib';

import { KEYSPACE } from '../conformance/data.mjs';
import { BLOCK, withBlocks } from './objects.mjs';
import { watchMemory } from './wasm_memory.mjs';

const MEBIBYTE = 2 ** 20;
const isList = ({ query }) => query.has('list-type');
const RETRY = { attempts: 2, deadline: 5_000 };

export const cases = {
  'a block that claims gigabytes, under a checksum that is right': async ({ open, front, later }) => {
    const memory = watchMemory(later);
    for (const claimed of [0xffffffff, 2 ** 30, 2 ** 28]) {
      let hits = 0;
      front.fault = (record) => isList(record) ? undefined : {
        change: (answer) => {
          const body = withBlocks(answer.body, (block) => block.writeUInt32LE(claimed, BLOCK.plainLength));
          if (body) hits += 1;
          return body ? { ...answer, body } : undefined;
        },
      };
      const store = await open({ retry: RETRY });
      await assert.rejects(store.readPage(KEYSPACE, 'bulk'), { code: 'Corrupt' });
      assert.ok(hits > 0, 'no block was found to change');
      assert.ok(memory.most() < 32 * MEBIBYTE, `${memory.most()} bytes of memory for a claim of ${claimed}`);
    }
  },

  'values that compress a thousandfold: a page holds 8 MiB of them': async ({ open, s3, later }) => {
    const memory = watchMemory(later);
    const value = Buffer.alloc(4 * MEBIBYTE);
    const items = Array.from({ length: 40 }, (_, number) => ({ nonce: BigInt(number), timestamp: 0n, value }));
    await s3.append(KEYSPACE, 'zeros', items);
    const store = await open();
    let seen = 0;
    for await (const page of store.pages(KEYSPACE, 'zeros')) {
      const bytes = page.items.reduce((sum, item) => sum + item.value.length, 0);
      assert.ok(bytes <= 8 * MEBIBYTE, `${bytes} bytes in a page`);
      seen += page.items.length;
    }
    assert.equal(seen, 40);
    assert.ok(memory.most() < 96 * MEBIBYTE, `${memory.most()} bytes of memory for 160 MiB of values`);
  },

  'a body that never ends': async ({ open, front, later }) => {
    const memory = watchMemory(later);
    for (const which of ['LIST', 'GET']) {
      let sent = 0;
      front.fault = (record) => {
        if (isList(record) !== (which === 'LIST')) return undefined;
        return { change: ({ headers: { 'content-length': _, ...headers } }) => ({ status: 200, headers, body: endless(() => sent++) }) };
      };
      const store = await open({ retry: RETRY });
      const error = await store.readPage(KEYSPACE, 'bulk').catch((failure) => failure);
      assert.ok(error instanceof Error && error.code !== 'Internal', `${which}: ${error}`);
      assert.ok(memory.most() < 96 * MEBIBYTE, `${which}: ${memory.most()} bytes of memory`);
      assert.ok(sent < 512, `${which}: ${sent} MiB were taken`);
    }
  },

  'a body that the transport unpacks': async ({ open, front, later }) => {
    const memory = watchMemory(later);
    for (const which of ['LIST', 'GET']) {
      let sent = 0;
      front.fault = (record) => {
        if (isList(record) !== (which === 'LIST')) return undefined;
        return {
          change: ({ headers: { 'content-length': _, ...headers } }) => {
            const gzip = createGzip({ level: 1 });
            const source = endless(() => sent++).pipe(gzip);
            return { status: 200, headers: { ...headers, 'content-encoding': 'gzip' }, body: source };
          },
        };
      };
      const store = await open({ retry: RETRY });
      const error = await store.readPage(KEYSPACE, 'bulk').catch((failure) => failure);
      assert.ok(error instanceof Error && error.code !== 'Internal', `${which}: ${error}`);
      assert.ok(memory.most() < 96 * MEBIBYTE, `${which}: ${memory.most()} bytes of memory`);
    }
  },

  'an error whose text never ends': async ({ open, front, later }) => {
    const memory = watchMemory(later);
    front.fault = () => ({ status: 403, headers: { 'content-type': 'application/xml' }, body: endless(() => undefined) });
    const error = await (await open({ retry: RETRY })).stat(KEYSPACE).catch((failure) => failure);
    assert.ok(error instanceof Error && error.code !== 'Internal', String(error));
    assert.ok(error.message.length < 5_000, `${error.message.length} characters`);
    assert.ok(memory.most() < 32 * MEBIBYTE, `${memory.most()} bytes of memory`);
  },
};

/** Megabytes of spaces, as many as are taken. */
function endless(onPiece) {
  const piece = Buffer.alloc(MEBIBYTE, ' ');
  return new Readable({
    read() {
      onPiece();
      this.push(piece);
    },
  });
}
