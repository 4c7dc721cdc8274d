// What only a browser does: preflights, CORS, its HTTP cache.

import assert from 'node:assert/strict';

import { itemsOf, KEYSPACE, LISTS } from '../conformance/data.mjs';
import { fillList } from '../lib/fill.mjs';
import { KEYS, startS3 } from '../lib/s3.mjs';
import { startSite } from '../lib/site.mjs';
import { answerOf } from './answers.mjs';

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
    // And one that the page sends by itself, so that it is known to be counted.
    await page.evaluate((url) => fetch(url, { headers: { 'x-of-the-page': '1' } }).catch(() => undefined), options.endpoint);
    assert.equal(front.count('OPTIONS'), 1);
  },

  'the HTTP cache serves what never changes; LISTs and commits go past it': async ({ newPage, front, options }) => {
    const { page } = await newPage();
    const kinds = async () => {
      front.reset();
      const texts = await textsIn(page, { ...options, signingQuantum: 86_400 });
      assert.equal(texts.length, 90);
      const count = (matches) => front.requests.filter(matches).length;
      return {
        lists: count(({ query }) => query.has('list-type')),
        commits: count(({ path }) => path.includes('/log/')),
        immutable: count(({ path }) => /\/(seg|idx)\//.test(path)),
      };
    };
    const first = await kinds();
    assert.ok(first.lists > 0 && first.commits > 0 && first.immutable > 0, JSON.stringify(first));
    assert.deepEqual(await kinds(), { ...first, immutable: 0 });
    const without = { ...options, cache: { http: false }, signingQuantum: 86_400 };
    front.reset();
    await textsIn(page, without);
    assert.ok(front.requests.some(({ path }) => /\/(seg|idx)\//.test(path)), 'switched off it serves nothing');
  },

  'a bucket recreated under an open page: nothing of what the HTTP cache has of the old one': async ({ newPage, front, options, later }) => {
    const other = await startS3();
    later(() => other.stop());
    await other.createKeyspace(KEYSPACE);
    // As many objects, of the same names where names can be the same, and not of the same bytes.
    const anew = (item) => ({ ...item, value: Buffer.from(`anew ${item.nonce}`) });
    const { batches, compactedAfter } = LISTS.compacted;
    await fillList(other, 'compacted', { batches: batches.map((batch) => batch.map(anew)), compactedAfter });
    const { page } = await newPage();
    const given = { ...options, signingQuantum: 86_400 };
    await textsIn(page, given);
    front.target = other.endpoint;
    for (const _ of ['the first time', 'and once more']) {
      assert.deepEqual(await textsIn(page, given), itemsOf(LISTS.compacted).map((item) => anew(item).value.toString()));
    }
  },

  'a bucket without CORS is named, with the rule to set': async ({ newPage, later, origin }) => {
    const closed = await startS3({ origins: [] });
    later(() => closed.stop());
    await closed.createKeyspace(KEYSPACE);
    const { code, message } = await refusal(await newPage(), closed.options);
    assert.equal(code, 'CrossOrigin');
    for (const part of [`AllowedOrigins ["${origin}"]`, 'AllowedMethods ["GET"]', 'ExposeHeaders ["ETag"']) {
      assert.ok(message.includes(part), `${part} is not in: ${message}`);
    }
  },

  'no error shows keys or signatures': async ({ newPage, options, front }) => {
    const { page, errors } = await newPage();
    const signatures = new Set();
    const faults = {
      'a closed connection': () => ({ change: () => Promise.reject(new Error('closed')) }),
      'no CORS': () => ({ status: 200, headers: {}, body: '' }),
      'a refusal that repeats the request': ({ query }) => answerOf(403, 'SignatureDoesNotMatch', String(query)),
    };
    for (const [what, fault] of Object.entries(faults)) {
      front.fault = (record) => {
        signatures.add(record.query.get('X-Amz-Signature'));
        return fault(record);
      };
      const seen = await page.evaluate(async ([given, keyspace]) => {
        const store = await window.open_(given);
        const all = [];
        for (let error = await store.readPage(keyspace, 'bulk').catch((failure) => failure); error; error = error.cause) {
          all.push(String(error), error.stack, JSON.stringify(error), ...Object.getOwnPropertyNames(error).map((name) => String(error[name])));
        }
        return all.join('\n');
      }, [{ ...options, retry: { attempts: 1 } }, KEYSPACE]);
      assert.match(seen, /Error/, what);
      assert.ok(signatures.size > 0);
      for (const secret of [KEYS.secretAccessKey, ...signatures, 'X-Amz-']) assert.ok(!seen.includes(secret), `${what}: ${seen}`);
    }
    // What the browser itself says of a request is not ours.
    assert.ok(errors.every((error) => !error.includes(KEYS.secretAccessKey)));
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

/** All of a list, read by a store that knows nothing yet. */
function textsIn(page, options) {
  return page.evaluate(async ([given, keyspace]) => {
    const store = await window.open_(given);
    const { items } = await store.readPage(keyspace, 'compacted', { maxItems: 1_000 });
    store.close();
    return items.map((item) => item.text());
  }, [options, KEYSPACE]);
}

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
