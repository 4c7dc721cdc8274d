// Damaged objects: a typed error, or the right items; never wrong ones, and never a fault of the module.

import assert from 'node:assert/strict';

import { itemsOf, KEYSPACE, LISTS } from '../conformance/data.mjs';
import { BLOCK, withBlocks } from './objects.mjs';

const isList = ({ query }) => query.has('list-type');
/** What may become of a read whose objects are damaged. */
const CODES = ['Corrupt', 'UnsupportedVersion', 'UnsupportedLayout', 'Unavailable', 'Contended', 'Refused'];

export const cases = {
  'a flipped bit anywhere in an object': async ({ open, front }) => {
    const seen = new Map();
    for (const key of ['compacted', 'small appends', 'bulk']) {
      for (let step = 0; step < 40; step++) {
        // Spread over all bodies, with the headers at their begin looked at closely.
        const at = (length) => (step < 20 ? step * 3 : Math.floor((length * (step - 20)) / 20)) % length;
        front.fault = (record) => (isList(record) ? undefined : { change: (answer) => flipped(answer, at) });
        const code = await outcome(open, key);
        seen.set(code, (seen.get(code) ?? 0) + 1);
      }
    }
    assert.ok((seen.get('Corrupt') ?? 0) > 60, JSON.stringify([...seen]));
  },

  'a corrupt object is named by the error, and the next call works': async ({ open, front }) => {
    const store = await open({ cache: { memory: 0 } });
    front.fault = (record) => (isList(record) ? undefined : { change: (answer) => flipped(answer, () => 20) });
    const error = await store.readPage(KEYSPACE, 'compacted').catch((failure) => failure);
    assert.equal(error.code, 'Corrupt');
    assert.equal(error.name, 'CorruptError');
    assert.equal(error.retryable, false);
    assert.match(error.message, /conformance\/lists\/compacted\/(log|seg|idx)\//);
    front.reset();
    assert.equal((await store.readPage(KEYSPACE, 'compacted')).items.length, 90);
  },

  'an object that is cut short': async ({ open, front }) => {
    for (const share of [0, 0.01, 0.5, 0.99]) {
      front.fault = (record) => isList(record) ? undefined : { change: (answer) => shortened(answer, share) };
      const code = await outcome(open, 'compacted');
      assert.ok(CODES.includes(code), `${share}: ${code}`);
    }
  },

  'the object of another list': async ({ open, front }) => {
    const store = await open();
    let other;
    front.fault = (record) => isList(record) ? undefined : { change: ({ body, headers, status }) => void (other ??= { status, headers, body }) };
    await store.readPage(KEYSPACE, 'small appends');
    front.fault = (record) => (isList(record) ? undefined : { change: ({ headers }) => ({ ...other, headers: { ...other.headers, etag: headers.etag } }) });
    assert.ok(CODES.includes(await outcome(open, 'compacted')));
  },

  'fields of a block that are wrong, under a checksum that is right': async ({ open, front }) => {
    const changes = {
      'a codec that there is not': (block) => block.writeUInt8(9, BLOCK.codec),
      'another codec': (block) => block.writeUInt8(1, BLOCK.codec),
      'no items': (block) => block.writeUInt32LE(0, BLOCK.items),
      'many items': (block) => block.writeUInt32LE(65_536, BLOCK.items),
      'a short plain length': (block) => block.writeUInt32LE(1, BLOCK.plainLength),
      'data that is none': (block) => block.fill(0xff, BLOCK.data, block.length - 4),
      'data that is zeros': (block) => block.fill(0, BLOCK.data, block.length - 4),
      'the first byte of the data': (block) => block.writeUInt8(block[BLOCK.data] ^ 0x80, BLOCK.data),
    };
    for (const [what, change] of Object.entries(changes)) {
      let hits = 0;
      front.fault = (record) => isList(record) ? undefined : {
        change: (answer) => {
          const body = withBlocks(answer.body, change);
          if (body) hits += 1;
          return body ? { ...answer, body } : undefined;
        },
      };
      const code = await outcome(open, 'bulk');
      assert.ok(hits > 0, `${what}: no block was found to change`);
      assert.ok(['Corrupt', 'UnsupportedVersion', 'UnsupportedLayout'].includes(code), `${what}: ${code}`);
    }
  },

  'a LIST that is no LIST': async ({ open, front }) => {
    const bodies = {
      'nothing': '',
      'no XML': 'hello',
      'other XML': '<a/>',
      'half of it': '<?xml version="1.0"?><ListBucketResult><Contents><Key>conformance/li',
      'names of nothing': '<ListBucketResult><Contents><Key>zzz</Key><ETag>"x"</ETag><Size>-1</Size></Contents></ListBucketResult>',
      'nested deeply': '<a>'.repeat(200_000),
      'entities': '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><ListBucketResult><Name>&b;</Name></ListBucketResult>',
    };
    for (const [what, body] of Object.entries(bodies)) {
      front.fault = (record) => (isList(record) ? { status: 200, headers: { 'content-type': 'application/xml' }, body } : undefined);
      const store = await open({ retry: { attempts: 2, deadline: 2_000 } });
      const error = await store.readPage(KEYSPACE, 'compacted').catch((failure) => failure);
      assert.ok(error instanceof Error, `${what}: it was taken for an empty list`);
      assert.ok([...CODES, 'Configuration', 'KeyspaceNotFound'].includes(error.code), `${what}: ${error.code} ${error.message}`);
    }
  },
};

/** `right` where the items were, or the error's code. Anything else is an error. */
async function outcome(open, key) {
  const items = itemsOf(LISTS[key]).slice(0, 1_000);
  const store = await open({ retry: { attempts: 2, deadline: 3_000, attemptTimeout: 500 } });
  let page;
  try {
    page = await store.readPage(KEYSPACE, key, { maxItems: 1_000 });
  } catch (error) {
    assert.ok(CODES.includes(error.code), `${error.code}: ${error.stack}`);
    return error.code;
  }
  assert.equal(page.items.length, items.length);
  page.items.forEach((item, number) => {
    assert.equal(item.offset, items[number].offset);
    assert.ok(Buffer.from(items[number].value).equals(item.value), `the value of ${item.offset} is wrong`);
  });
  return 'right';
}

function flipped({ status, headers, body }, at) {
  const changed = Buffer.from(body);
  if (changed.length > 0) changed[at(changed.length)] ^= 0x10;
  return { status, headers, body: changed };
}

function shortened({ status, headers, body }, share) {
  const part = body.subarray(0, Math.floor(body.length * share));
  return { status, headers: { ...headers, 'content-length': String(part.length) }, body: part };
}
