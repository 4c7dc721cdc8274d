// The main path, over what `klstore demo` serves: another origin, the bucket's CORS, no keys, nothing typed.

import assert from 'node:assert/strict';

import { at, checkSequence, linkOf, loadedRows, shows, textOf, until } from '../lib/app.mjs';

export const cases = {
  'opened without a word it shows the flights': async ({ demo, visit, pictures }) => {
    const { url, endpoint, busiest, keys } = await demo();
    const page = await visit(url);
    await shows(page, 'keys-view');
    assert.equal(await page.locator('h1').first().innerText(), 'flights');
    await page.locator('[data-testid="key"][data-state="ready"]:visible').first().waitFor();
    await pictures('demo keys', page);
    await at(page, 'key-search').fill(busiest);
    await until(() => textOf(page, 'key-count'), (text) => text.startsWith('1 list'));
    await page.locator(`[data-testid="key"][data-key="${busiest}"]:visible`).getByRole('link').click();
    await shows(page, 'list-view');
    const rows = await loadedRows(page);
    checkSequence(rows, 'backwards');
    for (const { value } of rows) assert.ok(value.includes(busiest), value);
    await pictures('demo list', page);
    const requests = page.seen.requests.filter((request) => request.url.startsWith(endpoint));
    assert.ok(requests.length > 0 && requests.every((request) => request.method === 'GET' && !request.url.includes('X-Amz')));
    assert.notEqual(new URL(url).origin, new URL(endpoint).origin);
    assert.ok(keys > 2_000);
  },

  'every file has its type, its policy and its place in the cache': async ({ demo, visit }) => {
    const { url } = await demo();
    const page = await visit(url);
    await shows(page, 'keys-view');
    const paths = page.seen.requests.filter((request) => request.url.startsWith(url)).map((request) => request.url);
    const types = { js: 'text/javascript', css: 'text/css', wasm: 'application/wasm', json: 'application/json' };
    for (const path of new Set(paths)) {
      for (const encoding of ['br', 'gzip', 'identity']) {
        const answer = await fetch(path, { headers: { 'accept-encoding': encoding } });
        await answer.arrayBuffer();
        const type = types[new URL(path).pathname.split('.').at(-1)] ?? 'text/html';
        assert.equal(answer.status, 200, path);
        assert.ok(answer.headers.get('content-type').startsWith(type), `${path}: ${answer.headers.get('content-type')}`);
        assert.match(answer.headers.get('content-security-policy'), /default-src 'none'.*frame-ancestors 'none'/);
        assert.equal(answer.headers.get('referrer-policy'), 'no-referrer');
        assert.equal(answer.headers.get('x-content-type-options'), 'nosniff');
        const isHashed = new URL(path).pathname.startsWith('/assets/');
        assert.equal(/immutable/.test(answer.headers.get('cache-control')), isHashed, path);
        if (!path.endsWith('.json')) {
          assert.equal(answer.headers.get('content-encoding'), encoding === 'identity' ? null : encoding, path);
        }
      }
    }
    assert.ok(paths.length >= 5, paths.join());
  },

  'anybody may read and list, nobody may write': async ({ demo }) => {
    const { endpoint } = await demo();
    const bucket = `${endpoint}/demo`;
    assert.equal((await fetch(`${bucket}?list-type=2&max-keys=1`)).status, 200);
    for (const method of ['PUT', 'DELETE']) {
      const answer = await fetch(`${bucket}/flights/keyspace.json`, { method, body: method === 'DELETE' ? undefined : '{}' });
      assert.equal(answer.status, 403, method);
    }
    assert.equal((await fetch(endpoint)).status, 403, 'nor see what buckets there are');
  },

  'a link to a flight': async ({ demo, visit }) => {
    const { url, busiest } = await demo();
    const page = await visit(linkOf(url, ['flights', busiest], { order: 'forwards', at: '5', item: '7' }));
    await shows(page, 'item-panel');
    const rows = await loadedRows(page);
    assert.equal(rows[0].offset, 5);
    assert.ok(!page.url().includes('endpoint='), 'the page\'s own bucket is in no link');
  },
};
