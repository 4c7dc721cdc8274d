// Requests: how many, how many one after the other, and what they look like.

import assert from 'node:assert/strict';

import { KEYSPACE } from '../conformance/data.mjs';

export const cases = {
  'the first page of a cold list: at most 5 requests one after the other': async ({ open, front }) => {
    for (const key of ['small appends', 'compacted', 'bulk', 'large']) {
      for (const order of ['forwards', 'backwards']) {
        front.reset();
        const store = await open();
        const { items } = await store.readPage(KEYSPACE, key, { order, maxItems: 100 });
        assert.ok(items.length > 0);
        assert.ok(front.rounds <= 5, `${key} ${order}: ${front.rounds} rounds, ${front.requests.length} requests`);
      }
    }
  },

  'the newest page of a small-append list: 2 requests, and the next page 1': async ({ open, front }) => {
    const store = await open();
    const newest = await store.readPage(KEYSPACE, 'small appends', { order: 'backwards', maxItems: 20 });
    assert.equal(newest.items.length, 20);
    assert.equal(front.requests.length, 2, shown(front));
    assert.deepEqual([newest.stats.lists, newest.stats.gets], [1, 1]);
    front.reset();
    const next = { order: 'backwards', maxItems: 20, continuation: newest.continuation };
    assert.equal((await store.readPage(KEYSPACE, 'small appends', next)).items.length, 20);
    assert.ok(front.requests.length <= 1, shown(front));
  },

  'the next page of a cold store: 1 request': async ({ open, front }) => {
    const { continuation } = await (await open()).readPage(KEYSPACE, 'bulk', { maxItems: 100 });
    front.reset();
    // A store that knows nothing, as the next page of a website has it.
    await (await open()).readPage(KEYSPACE, 'bulk', { maxItems: 100, continuation });
    assert.equal(front.requests.length, 1, shown(front));
  },

  'the first picture of a time line: at most 4 requests, none of items': async ({ open, front }) => {
    for (const key of ['small appends', 'compacted', 'bulk']) {
      front.reset();
      assert.ok((await (await open()).timeline(KEYSPACE, key)).spans.length > 0);
      assert.ok(front.requests.length <= 4, shown(front));
    }
  },

  'stat of a key: 2 requests': async ({ open, front }) => {
    await (await open()).stat(KEYSPACE, 'bulk');
    assert.equal(front.requests.length, 2, shown(front));
  },

  'opening a store sends nothing': async ({ open, front }) => {
    await open();
    assert.equal(front.requests.length, 0);
  },

  'requests are plain GETs: signed in the query, a simple range as the only header': async ({ open, front }) => {
    for await (const _ of (await open()).items(KEYSPACE, 'bulk'));
    assert.ok(front.requests.length > 3);
    for (const { method, query, headers, range } of front.requests) {
      assert.equal(method, 'GET');
      assert.match(query.get('X-Amz-Signature') ?? '', /^[0-9a-f]{64}$/);
      assert.equal(headers.authorization, undefined);
      assert.deepEqual(Object.keys(headers).filter((name) => name.startsWith('x-amz')), []);
      assert.equal(headers['if-match'] ?? headers['if-none-match'], undefined);
      if (range !== undefined) assert.match(range, /^bytes=\d+-\d+$/);
    }
  },

  'the signing time is quantised, and a signature expires within the quantum and 5 minutes': async ({ open, front }) => {
    for (const signingQuantum of [undefined, 60, 0]) {
      front.reset();
      for (const _ of [1, 2]) await (await open({ signingQuantum })).readPage(KEYSPACE, 'compacted');
      for (const { query } of front.requests) {
        const [expires, quantum] = [Number(query.get('X-Amz-Expires')), signingQuantum ?? 600];
        assert.ok(expires >= 1 && expires <= quantum + 300, `expires after ${expires} s of a quantum of ${quantum}`);
        const date = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(query.get('X-Amz-Date')).slice(1).map(Number);
        const seconds = Date.UTC(date[0], date[1] - 1, ...date.slice(2)) / 1_000;
        if (quantum > 0) assert.equal(seconds % quantum, 0, `${seconds} is no multiple of ${quantum}`);
      }
    }
  },

  'the same object has the same URL in every store': async ({ open, front }) => {
    const urls = new Map();
    for (const _ of [1, 2]) await (await open({ signingQuantum: 86_400 })).readPage(KEYSPACE, 'compacted');
    for (const { path, query, range } of front.requests) {
      if (query.has('list-type')) continue;
      const name = `${path} ${range}`;
      urls.set(name, [...(urls.get(name) ?? []), String(query)]);
    }
    const repeated = [...urls.values()].filter(({ length }) => length > 1);
    assert.ok(repeated.length > 0);
    for (const [first, ...others] of repeated) for (const other of others) assert.equal(other, first);
  },

  'at most six requests are in flight': async ({ open, front }) => {
    front.fault = () => new Promise((resolve) => setTimeout(resolve, 30));
    const store = await open({ cache: { memory: 0 } });
    const starts = Array.from({ length: 24 }, (_, number) => number * 500);
    await Promise.all(starts.map((startOffset) => store.readPage(KEYSPACE, 'bulk', { startOffset, maxItems: 10 })));
    assert.ok(front.mostAtOnce <= 6, `${front.mostAtOnce} at once`);
    assert.ok(front.mostAtOnce >= 4, `only ${front.mostAtOnce} at once`);
  },

  'a scan reads ahead': async ({ open, front }) => {
    const pages = (await open({ cache: { memory: 0 } })).pages(KEYSPACE, 'bulk', { pageSize: 1_000 });
    await pages.next();
    await pages.next();
    const count = front.requests.length;
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.ok(front.requests.length > count, 'nobody asks, and yet the third page is fetched');
    await pages.return();
  },

  'the memory cache spares requests, and none is kept where it is switched off': async ({ open, front }) => {
    const requestsOfSecondRead = async (cache) => {
      const store = await open({ cache });
      await store.readPage(KEYSPACE, 'compacted');
      front.reset();
      await store.readPage(KEYSPACE, 'compacted');
      return front.requests.length;
    };
    const [kept, without] = [await requestsOfSecondRead(undefined), await requestsOfSecondRead({ memory: 0 })];
    assert.ok(kept < without, `${kept} with a cache, ${without} without`);
  },
};

function shown(front) {
  return front.requests.map(({ method, path, range, query }) => `${method} ${path} ${range ?? ''} ${query.get('prefix') ?? ''}`).join('\n');
}
