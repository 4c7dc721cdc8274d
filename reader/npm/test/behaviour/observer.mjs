// What `onRequest` is told.

import assert from 'node:assert/strict';

import { KEYSPACE } from '../conformance/data.mjs';
import { answerOf } from './answers.mjs';

const watched = (records) => ({ onRequest: (record) => records.push(record) });

export const cases = {
  'an observer is told of every request once, with what it was for and nothing secret': async ({ open, front, options }) => {
    const records = [];
    const store = await open(watched(records));
    await store.keys(KEYSPACE, { label: 'names' });
    await store.stat(KEYSPACE, { label: 'keyspace' });
    await store.readPage(KEYSPACE, 'compacted', { maxItems: 10, label: 'page' });
    await store.timeline(KEYSPACE, 'compacted', { label: 'time line' });
    assert.equal(records.length, front.requests.length);
    const of = (label) => records.filter((record) => record.label === label).map(({ kind, purpose }) => `${kind} ${purpose}`);
    assert.deepEqual(of('names'), ['LIST keys']);
    assert.deepEqual(of('keyspace'), ['GET keyspace']);
    assert.deepEqual(of('page').slice(0, 2), ['LIST newest-commit', 'GET commit']);
    assert.ok(of('page').includes('GET index-page'));
    // Commit and index page are in memory by now.
    assert.deepEqual(of('time line'), ['LIST newest-commit']);
    for (const { name, status, bytes, duration, attempt, outcome, error, startedAt } of records) {
      assert.ok(name.startsWith(KEYSPACE), name);
      assert.ok(status === 200 || status === 206, String(status));
      assert.ok(bytes > 0 && duration >= 0 && Math.abs(Date.now() - startedAt) < 60_000);
      assert.deepEqual([attempt, outcome, error], [1, 'answered', null]);
    }
    const ranged = records.find(({ purpose }) => purpose === 'commit');
    assert.ok(ranged.range.end > ranged.range.start && ranged.bytes <= ranged.range.end - ranged.range.start);
    const told = JSON.stringify(records);
    for (const secret of [options.credentials.secretAccessKey, 'X-Amz', 'Signature', front.endpoint]) {
      assert.ok(!told.includes(secret), secret);
    }
  },

  'each attempt is told by itself, and what is given up as such': async ({ open, front }) => {
    let failures = 2;
    front.fault = () => (failures-- > 0 ? answerOf(503, 'SlowDown', 'Please reduce your request rate.') : undefined);
    const records = [];
    const store = await open(watched(records));
    await store.stat(KEYSPACE, 'bulk');
    assert.deepEqual(records.filter(({ kind }) => kind === 'LIST').map(({ attempt, status }) => [attempt, status]), [[1, 503], [2, 503], [3, 200]]);

    records.length = 0;
    front.fault = ({ query }) => (query.has('list-type') ? undefined : { stallAfter: 10 });
    const controller = new AbortController();
    const reading = store.readPage(KEYSPACE, 'large', { signal: controller.signal });
    reading.catch(() => undefined);
    while (!front.requests.some(({ query, status }) => status && query.get('prefix')?.includes('large'))) await new Promise((resolve) => setTimeout(resolve, 5));
    await new Promise((resolve) => setTimeout(resolve, 100));
    controller.abort(new Error('enough'));
    await assert.rejects(reading);
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(records.at(-1).outcome, 'aborted');
  },

  'a connection that fails is told with its reason, without the URL': async ({ open, front }) => {
    front.fault = () => ({ change: () => Promise.reject(new Error('closed')) });
    const records = [];
    const store = await open({ ...watched(records), retry: { attempts: 2 } });
    await assert.rejects(store.stat(KEYSPACE, 'bulk'), { code: 'Unavailable' });
    assert.deepEqual(records.map(({ outcome, status }) => [outcome, status]), [['failed', null], ['failed', null]]);
    assert.ok(records.every(({ error }) => error && !error.includes('X-Amz')));
  },

  'an observer that throws disturbs no reading': async ({ open }) => {
    const thrown = [];
    const listener = (error) => thrown.push(error.message);
    const before = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.on('uncaughtException', listener);
    try {
      const store = await open({ onRequest: () => { throw new Error('of the observer'); } });
      assert.equal((await store.readPage(KEYSPACE, 'compacted')).items.length, 90);
      await new Promise((resolve) => setTimeout(resolve, 20));
    } finally {
      process.off('uncaughtException', listener);
      for (const each of before) process.on('uncaughtException', each);
    }
    assert.ok(thrown.length > 0 && thrown.every((message) => message === 'of the observer'));
  },
};
