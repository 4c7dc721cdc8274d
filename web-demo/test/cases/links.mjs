// Links: every state is in the URL, and no link connects to a place that nobody agreed to.

import assert from 'node:assert/strict';

import { KEYS } from '../../../reader/npm/test/lib/s3.mjs';
import { at, fillConnection, linkOf, shows } from '../lib/app.mjs';

export const cases = {
  'a link to another endpoint asks before anything is sent there': async ({ lists, demo, visit, pictures }) => {
    const { front, connection } = await lists();
    const { url } = await demo();
    front.reset();
    const page = await visit(linkOf(url, ['rooms', 'kitchen'], {}, connection));
    await at(page, 'link-question').waitFor();
    await page.waitForTimeout(500);
    assert.equal(front.requests.length, 0, 'nothing was sent');
    assert.ok((await at(page, 'question-endpoint').innerText()).includes(front.endpoint));
    await pictures('question', page);
    await at(page, 'question-open').click();
    await shows(page, 'list-view');
    assert.ok(front.requests.length > 0);
    assert.ok(front.requests.every(({ query }) => !query.has('X-Amz-Signature')), 'without credentials');
  },

  'typed keys do not go where a link leads': async ({ lists, siteOf, visit }) => {
    const { front, connection } = await lists();
    const { origin } = await siteOf();
    const page = await visit(origin);
    await fillConnection(page, { ...connection, keys: KEYS });
    await shows(page, 'keyspaces-view');
    // The same bucket under another name of the same host: for a browser another endpoint.
    const other = { ...connection, endpoint: front.endpoint.replace('localhost', '127.0.0.1') };
    front.reset();
    await page.evaluate((href) => (location.href = href), linkOf(`${origin}/`, ['rooms', 'kitchen'], {}, other));
    await at(page, 'link-question').waitFor();
    await page.waitForTimeout(300);
    assert.equal(front.requests.length, 0);
    await at(page, 'question-leave').click();
    await shows(page, 'keyspaces-view');
    assert.equal(front.requests.filter(({ headers }) => headers.host.startsWith('127.')).length, 0);
  },

  'links that are nonsense do no harm': async ({ lists, visit }) => {
    const { url } = await lists();
    for (const hash of ['#/k/%E0%A4%A', '#/k/rooms/kitchen?at=-1&order=x&window=1&column=%00&item=99999999999999999999', `#${'x'.repeat(50_000)}`, '#/k/__proto__/constructor', '#javascript:alert(1)']) {
      const page = await visit(url + hash);
      await page.locator('main').first().waitFor();
      await page.waitForTimeout(200);
    }
  },
};
