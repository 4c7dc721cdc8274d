// What an edge runtime demands: what one request began, another one never waits for.

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { KEYSPACE } from '../conformance/data.mjs';
import { startWorker } from '../lib/workerd.mjs';

/** `shared` reads by a store at module scope, which all requests use; anything else by one of the request's own. */
const WORKER = `
import { open } from 'klstore';

let shared;
export default {
  async fetch(request, env) {
    const { searchParams } = new URL(request.url);
    const options = { ...JSON.parse(env.OPTIONS), credentials: undefined };
    const keys = JSON.parse(env.OPTIONS).credentials;
    // A provider that does I/O of the request that asks: waited for by another one, that would hang.
    const credentials = async ({ signal }) => {
      await fetch(env.PAUSE, { signal });
      return { ...keys, expiration: new Date(Date.now() + 3_600_000) };
    };
    const store = searchParams.has('shared')
      ? (shared ??= await open({ ...options, credentials }))
      : await open({ ...options, credentials });
    try {
      const startOffset = Number(searchParams.get('start'));
      const page = await store.readPage('${KEYSPACE}', 'bulk', { startOffset, maxItems: 5, signal: request.signal });
      return Response.json(page.items.map(({ offset }) => Number(offset)));
    } catch (error) {
      return new Response(error.stack, { status: 500 });
    }
  },
};
`;

export const cases = {
  'requests at once, each with a store of its own': (t) => atOnce(t, ''),

  // Not what the README advises, and all the same no request may hang or be answered by another's error.
  'requests at once on one store at module scope': (t) => atOnce(t, '&shared'),

  'a request that its caller gave up does no harm to the others': async (t) => {
    const { url, front } = await started(t);
    for (const how of ['', '&shared']) {
      front.reset();
      // The first one stalls in mid-page, and is given up.
      let stalled = 0;
      front.fault = ({ query }) => (!query.has('list-type') && stalled++ === 0 ? { stallAfter: 10 } : undefined);
      const controller = new AbortController();
      const first = fetch(`${url}?start=0${how}`, { signal: controller.signal }).catch((error) => error);
      while (stalled === 0) await pause(10);
      const others = Promise.allSettled([500, 1_000].map((start) => offsets(`${url}?start=${start}${how}`)));
      await pause(50);
      controller.abort();
      assert.equal((await first).name, 'AbortError');
      const expected = [500, 1_000].map((start) => ({ status: 'fulfilled', value: range(start) }));
      assert.deepEqual(await others, expected);
      assert.deepEqual(await offsets(`${url}?start=7${how}`), range(7));
    }
  },
};

async function atOnce(t, how) {
  const { url, front } = await started(t);
  front.fault = () => pause(40);
  for (let turn = 0; turn < 3; turn++) {
    const starts = Array.from({ length: 12 }, (_, number) => turn * 1_000 + number * 50);
    const pages = await Promise.all(starts.map((start) => offsets(`${url}?start=${start}${how}`)));
    assert.deepEqual(pages, starts.map(range));
  }
  assert.equal(front.count('OPTIONS'), 0);
}

async function started({ folder, front, options, origin, later }) {
  await writeFile(join(folder, 'behaviour.mjs'), WORKER);
  const bindings = { OPTIONS: JSON.stringify(options), PAUSE: `${origin}/pause` };
  const { url, stop } = await startWorker(folder, 'behaviour.mjs', bindings);
  later(stop);
  return { url, front };
}

async function offsets(url) {
  const response = await fetch(url, { signal: AbortSignal.timeout(20_000) });
  const text = await response.text();
  assert.equal(response.status, 200, text);
  return JSON.parse(text);
}

function range(start) {
  return Array.from({ length: 5 }, (_, number) => start + number);
}

function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
