// What only a browser does: preflights, CORS, its HTTP cache.

import assert from 'node:assert/strict';

import { KEYSPACE } from '../conformance/data.mjs';
import { startS3 } from '../lib/s3.mjs';
import { startSite } from '../lib/site.mjs';

export const cases = {
  'a page of another origin sends no OPTIONS': async ({ newPage, front, options, origin }) => {
    const { page } = await newPage();
    const seen = await page.evaluate(async ([given, keyspace]) => {
      const store = await window.open_(given);
      let count = 0;
      for await (const _ of store.items(keyspace, 'bulk')) count += 1;
      for await (const _ of store.items(keyspace, 'compacted', { order: 'backwards', pageSize: 7 })) count += 1;
      for await (const _ of store.keys(keyspace)) count += 1;
      await store.timeline(keyspace, 'bulk');
      return count;
    }, [options, KEYSPACE]);
    assert.equal(seen, 12_000 + 90 + 4);
    assert.ok(front.requests.length > 5);
    assert.equal(front.count('OPTIONS'), 0);
    for (const { headers } of front.requests) assert.equal(headers.origin, origin);
    assert.ok(front.requests.some(({ range }) => range !== undefined), 'some request had a range');
  },

  'the HTTP cache serves what never changes, and no LIST': async ({ newPage, front, options }) => {
    const { page } = await newPage();
    const read = () => page.evaluate(async ([given, keyspace]) => {
      const store = await window.open_(given);
      return (await store.readPage(keyspace, 'compacted', { maxItems: 1_000 })).items.length;
    }, [{ ...options, signingQuantum: 86_400 }, KEYSPACE]);
    assert.equal(await read(), 90);
    const first = front.requests;
    front.reset();
    assert.equal(await read(), 90);
    const lists = (requests) => requests.filter(({ query }) => query.has('list-type')).length;
    assert.equal(lists(front.requests), lists(first), 'LISTs are sent each time');
    const gets = (requests) => requests.length - lists(requests);
    assert.ok(gets(front.requests) < gets(first), `${gets(first)} GETs, then ${gets(front.requests)}`);
  },

  'a bucket without CORS is named, with the rule to set': async ({ newPage, later, origin }) => {
    const closed = await startS3({ origins: [] });
    later(() => closed.stop());
    await closed.createKeyspace(KEYSPACE);
    const { code, message } = await refusal(await newPage(), closed.options);
    assert.equal(code, 'CrossOrigin');
    assert.ok(message.includes(origin), message);
    assert.match(message, /ETag/);
  },

  'a store that is away is not mistaken for one without CORS': async ({ newPage, options }) => {
    // A port that was free a moment ago.
    const gone = await startSite('/nowhere');
    await gone.stop();
    const given = { ...options, endpoint: gone.origin, retry: { attempts: 2, deadline: 2_000 } };
    assert.equal((await refusal(await newPage(), given)).code, 'Unavailable');
  },

  'an ETag that is not exposed is named': async ({ newPage, front, options }) => {
    front.fault = () => ({
      change: ({ status, headers: { 'access-control-expose-headers': _, ...headers }, body }) => ({ status, headers, body }),
    });
    assert.equal((await refusal(await newPage(), options)).code, 'HiddenEtag');
  },

  'a clock that is wrong in a browser is put right': async ({ newPage, options }) => {
    for (const hours of [-5, 5]) {
      const { page } = await newPage((fresh) =>
        fresh.addInitScript((shift) => {
          const now = Date.now;
          Date.now = () => now() + shift * 3_600_000;
        }, hours),
      );
      const count = await page.evaluate(async ([given, keyspace]) => {
        const store = await window.open_(given);
        return (await store.readPage(keyspace, 'compacted')).items.length;
      }, [options, KEYSPACE]);
      assert.equal(count, 90);
    }
  },

  'an abort ends the requests of a page': async ({ newPage, front, options }) => {
    front.fault = ({ query }) => (query.has('list-type') ? undefined : { stallAfter: 10 });
    const { page } = await newPage();
    const reason = await page.evaluate(async ([given, keyspace]) => {
      const store = await window.open_(given);
      const controller = new AbortController();
      setTimeout(() => controller.abort('enough'), 200);
      return store.readPage(keyspace, 'bulk', { signal: controller.signal }).catch((error) => error);
    }, [options, KEYSPACE]);
    assert.equal(reason, 'enough');
    await new Promise((resolve) => setTimeout(resolve, 300));
    const stalled = front.requests.filter(({ query }) => !query.has('list-type'));
    assert.ok(stalled.length > 0 && stalled.every(({ aborted }) => aborted), 'the browser closed what stalled');
  },

  'a page that is closed to eval and foreign scripts reads lists': async ({ newPage, front, options }) => {
    const policy = `default-src 'none'; script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval'; connect-src 'self' ${front.endpoint}; img-src data:`;
    const { page, errors } = await newPage(undefined, `/closed?${new URLSearchParams({ policy })}`);
    const read = page.evaluate(async ([given, keyspace]) => {
      const store = await window.open_(given);
      return (await store.readPage(keyspace, 'compacted')).items.length;
    }, [options, KEYSPACE]);
    const count = await read.catch((error) => error.message);
    assert.deepEqual(errors, []);
    assert.equal(count, 90);
    // In a task of the page's own: what the debugger calls may evaluate.
    const evaluate = () => new Promise((resolve) => setTimeout(() => {
      try {
        resolve(new Function('return 1')());
      } catch (error) {
        resolve(error.message);
      }
    }));
    const evaluated = await page.evaluate(evaluate);
    assert.match(String(evaluated), /Content Security Policy|unsafe-eval/);
  },
};

async function refusal({ page }, options) {
  return page.evaluate(async ([given, keyspace]) => {
    const store = await window.open_(given);
    try {
      await store.readPage(keyspace, 'compacted');
      return { code: 'none' };
    } catch ({ code, message, name }) {
      return { code, message, name };
    }
  }, [options, KEYSPACE]);
}
