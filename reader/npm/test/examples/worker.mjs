import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Miniflare } from 'miniflare';

import { FLIGHTS, flights, newest } from '../lib/flights.mjs';
import { run } from '../lib/processes.mjs';
import { copyObjects } from '../lib/r2.mjs';
import { BUCKET, KEYS } from '../lib/s3.mjs';

const list = `/${FLIGHTS.keyspace}/${FLIGHTS.key}`;

export const cases = {
  // First: it builds what the others run.
  'its types are right, and wrangler bundles it': async ({ folder }) => {
    await run('npm', ['run', 'check'], { cwd: folder });
    await run('npm', ['run', 'build'], { cwd: folder, env: { WRANGLER_SEND_METRICS: 'false', CI: 'true' } });
    const names = await readdir(join(folder, 'dist'));
    assert.ok(names.some((name) => name.endsWith('klstore.wasm')), names.join(' '));
  },

  'a list as JSON, from an R2 bucket': async (t) => {
    const worker = await started(t, { r2Buckets: { BUCKET: 'lists' } });
    await copyObjects(t.s3, await worker.getR2Bucket('BUCKET'));
    await readsEverything((path) => worker.dispatchFetch(`http://worker${path}`));
    assert.equal(t.front.requests.length, 0, 'nothing goes past the binding');
  },

  'a list as JSON, from S3': async (t) => {
    const { accessKeyId, secretAccessKey } = KEYS;
    const store = { S3_BUCKET: BUCKET, S3_ENDPOINT: t.front.endpoint };
    const worker = await started(t, { bindings: { ...store, AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } });
    await readsEverything((path) => worker.dispatchFetch(`http://worker${path}`));
    assert.ok(t.front.requests.length > 0);
    assert.ok(t.front.requests.every(({ method, query }) => method === 'GET' && query.has('X-Amz-Signature')));
  },
};

async function readsEverything(get) {
  const first = await (await get(`${list}?order=backwards&max=100`)).json();
  assert.deepEqual(first.items[0], { offset: '364', time: '2013-12-31T10:00:00.000Z', value: JSON.parse(newest(1)[0]) });
  const seen = first.items;
  for (let { next } = first; next; ) {
    const page = await (await get(next)).json();
    seen.push(...page.items);
    next = page.next;
  }
  assert.deepEqual(seen.map(({ value }) => value), newest(flights.length).map(JSON.parse));
  const since = await (await get(`${list}?since=2013-12-30`)).json();
  assert.deepEqual(since.items.map(({ offset }) => offset), ['363', '364']);
  // At once, as a Worker is asked: nothing of one request may be waited for in another.
  const answers = await Promise.all(Array.from({ length: 8 }, (_, number) => get(`${list}?max=${10 + number}`)));
  const lengths = await Promise.all(answers.map(async (answer) => (await answer.json()).items.length));
  assert.deepEqual(lengths, [10, 11, 12, 13, 14, 15, 16, 17]);
  const statuses = ['/nothing/here', `${list}?continuation=nonsense`, '/', `${list}/more`].map(async (path) => {
    const answer = await get(path);
    await answer.text();
    return answer.status;
  });
  assert.deepEqual(await Promise.all(statuses), [404, 400, 404, 404]);
}

async function started({ folder, later }, options) {
  const dist = join(folder, 'dist');
  const names = (await readdir(dist)).filter((name) => /\.(js|wasm)$/.test(name));
  names.sort((a, b) => Number(b === 'index.js') - Number(a === 'index.js'));
  const modules = names.map((name) => ({
    type: name.endsWith('.wasm') ? 'CompiledWasm' : 'ESModule',
    path: join(dist, name),
  }));
  const worker = new Miniflare({ modules, modulesRoot: dist, compatibilityDate: '2026-04-01', ...options });
  later(() => worker.dispose());
  await worker.ready;
  return worker;
}
