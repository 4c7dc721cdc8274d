// Aborts, failures that pass, and a bucket that becomes another one.

import assert from 'node:assert/strict';

import { itemsOf, KEYSPACE, LISTS } from '../conformance/data.mjs';
import { fillList } from '../lib/fill.mjs';
import { startS3 } from '../lib/s3.mjs';
import { answerOf } from './answers.mjs';

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

export const cases = {
  'an abort in the middle of a page ends its requests at once': async ({ open, front }) => {
    front.fault = ({ query }) => (query.has('list-type') ? undefined : { stallAfter: 100 });
    const store = await open();
    const controller = new AbortController();
    const reading = store.readPage(KEYSPACE, 'bulk', { signal: controller.signal });
    while (!front.requests.some(({ query, status }) => status && !query.has('list-type'))) await pause(5);
    await pause(50);
    const reason = new Error('the user went elsewhere');
    const began = performance.now();
    controller.abort(reason);
    await assert.rejects(reading, reason);
    assert.ok(performance.now() - began < 100);
    await pause(100);
    const stalled = front.requests.filter(({ query }) => !query.has('list-type'));
    assert.ok(stalled.every(({ aborted }) => aborted), 'the connection of what stalled was closed');
    front.reset();
    assert.equal((await store.readPage(KEYSPACE, 'compacted')).items.length, 90);
  },

  'leaving a loop ends what was read ahead': async ({ open, front }) => {
    const store = await open({ cache: { memory: 0 } });
    const pages = store.pages(KEYSPACE, 'bulk', { pageSize: 1_000 });
    await pages.next();
    await pages.next();
    // The third page has come ahead; the fourth never will.
    await pause(500);
    front.fault = ({ query }) => (query.has('list-type') ? undefined : { stallAfter: 10 });
    await pages.next();
    await pages.return();
    await pause(200);
    assert.ok(front.requests.every(({ ended }) => ended < Infinity), 'nothing is under way any more');
  },

  'after an abort nothing comes any more, not even of what is there already': async ({ open }) => {
    const store = await open();
    const loops = {
      items: (signal) => store.items(KEYSPACE, 'bulk', { signal }),
      follow: (signal) => store.follow(KEYSPACE, 'bulk', { start: 0n, signal }),
      pages: (signal) => store.pages(KEYSPACE, 'bulk', { pageSize: 100, signal }),
    };
    for (const [what, loop] of Object.entries(loops)) {
      const controller = new AbortController();
      let seen = 0;
      const reading = (async () => {
        for await (const _ of loop(controller.signal)) {
          seen += 1;
          // By then the third page has come ahead.
          if (what === 'pages') await pause(100);
          if (seen === 2) controller.abort(new Error('enough'));
        }
      })();
      await assert.rejects(reading, /enough/, what);
      assert.equal(seen, 2, what);
    }
  },

  'an attempt that stalls is given up, and another one made': async ({ open, front }) => {
    let stalls = 1;
    front.fault = ({ query }) => (!query.has('list-type') && stalls-- > 0 ? { stallAfter: 5 } : undefined);
    const store = await open({ retry: { attemptTimeout: 300 } });
    assert.equal((await store.readPage(KEYSPACE, 'compacted')).items.length, 90);
  },

  'failures that pass are tried again': async ({ open, front }) => {
    const faults = {
      'SlowDown': () => answerOf(503, 'SlowDown', 'Please reduce your request rate.'),
      'InternalError': () => answerOf(500, 'InternalError', 'We encountered an internal error.'),
      'a closed connection': () => ({ change: () => Promise.reject(new Error('closed')) }),
      'half a body': () => ({ change: ({ status, headers, body }) => ({ status, headers, body: body.subarray(0, body.length / 2) }) }),
    };
    for (const [what, fault] of Object.entries(faults)) {
      front.reset();
      let left = 3;
      front.fault = () => (left-- > 0 ? fault() : undefined);
      const store = await open({ retry: { attemptTimeout: 500 } });
      assert.equal((await store.readPage(KEYSPACE, 'compacted')).items.length, 90, what);
      assert.ok(left < 0);
    }
  },

  'failures that stay end in Unavailable, within the deadline': async ({ open, front }) => {
    front.fault = () => answerOf(503, 'SlowDown', 'Please reduce your request rate.');
    const store = await open({ retry: { attempts: 100, deadline: 1_500 } });
    const began = performance.now();
    const error = await store.readPage(KEYSPACE, 'compacted').catch((failure) => failure);
    assert.equal(error.code, 'Unavailable');
    assert.equal(error.retryable, true);
    assert.ok(performance.now() - began < 3_000);
    assert.ok(front.requests.length >= 2);
    const few = await open({ retry: { attempts: 1 } });
    front.requests = [];
    await assert.rejects(few.stat(KEYSPACE), { code: 'Unavailable' });
    assert.equal(front.requests.length, 1);
  },

  'a redirect is not followed': async ({ open, front }) => {
    front.fault = () => ({ status: 307, headers: { location: 'http://127.0.0.1:9/' }, body: '' });
    const store = await open({ retry: { attempts: 2, deadline: 2_000 } });
    const error = await store.readPage(KEYSPACE, 'compacted').catch((failure) => failure);
    assert.equal(typeof error.code, 'string');
    assert.notEqual(error.code, 'Internal');
  },

  'a follower goes on after an outage, and tells of it': async ({ open, front, s3 }) => {
    const item = (number) => ({ nonce: BigInt(number), timestamp: 0n, value: Buffer.from(`live ${number}`) });
    await s3.append(KEYSPACE, 'outage', [item(0)]);
    const errors = [];
    const store = await open({ retry: { attempts: 1 } });
    const polling = { interval: 20, maxInterval: 50, onError: (error) => errors.push(error.code) };
    const items = store.follow(KEYSPACE, 'outage', { start: 0n, ...polling });
    assert.equal((await items.next()).value.text(), 'live 0');
    front.fault = () => answerOf(503, 'SlowDown', 'Please reduce your request rate.');
    const next = items.next();
    while (errors.length < 2) await pause(10);
    front.reset();
    await s3.append(KEYSPACE, 'outage', [item(1)]);
    assert.equal((await next).value.text(), 'live 1');
    assert.ok(errors.every((code) => code === 'Unavailable'));
    await items.return();
  },

  'a bucket recreated under an open page: the new list, or an error that says so, never a mixture': async ({ open, front, later }) => {
    const other = await startS3();
    later(() => other.stop());
    await other.createKeyspace(KEYSPACE);
    const value = (number) => Buffer.from(`anew ${number}`);
    const anew = itemsOf(LISTS.compacted).map((item, number) => ({ ...item, value: value(number) }));
    const batches = [anew.slice(0, 50), anew.slice(50)];
    await fillList(other, 'compacted', { batches, compactedAfter: 1 });

    for (const order of ['forwards', 'backwards']) {
      front.target = front.first;
      const store = await open();
      const { continuation } = await store.readPage(KEYSPACE, 'compacted', { order, maxItems: 20 });
      front.target = other.endpoint;
      const page = await store.readPage(KEYSPACE, 'compacted', { order, maxItems: 20, continuation }).catch((error) => error);
      if (page instanceof Error) {
        assert.notEqual(page.code, 'Internal');
        assert.ok(['InvalidContinuation', 'Contended', 'Corrupt'].includes(page.code), page.code);
      } else {
        assert.ok(page.items.length > 0);
        for (const item of page.items) assert.equal(item.text(), `anew ${item.offset}`);
      }
      // Without a continuation it is the new list, whatever was cached.
      const whole = await store.readPage(KEYSPACE, 'compacted', { order });
      assert.equal(whole.items.length, 90);
      for (const item of whole.items) assert.equal(item.text(), `anew ${item.offset}`);
      assert.equal((await store.stat(KEYSPACE, 'compacted')).itemCount, 90n);
    }
  },
};
