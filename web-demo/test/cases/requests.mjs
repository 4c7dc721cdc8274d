// The request panel, and the preferences: theme and time zone.

import assert from 'node:assert/strict';

import { KEYS } from '../../../reader/npm/test/lib/s3.mjs';
import { at, fillConnection, jumpTo, linkOf, loadedRows, rowsOf, shows, textOf, until } from '../lib/app.mjs';
import { KEYSPACE } from '../lib/lists.mjs';

async function openActions(page) {
  const closed = page.locator('[data-testid=action] > button[aria-expanded=false]');
  while ((await closed.count()) > 0) await closed.first().click();
}

export const cases = {
  'each request is in the panel, by action, with what for, bytes and cost': async ({ lists, visit, pictures }) => {
    const { url, front } = await lists();
    front.reset();
    // Without the browser's own cache, which asks for what it lacks of a range only, and so in more requests.
    const prepare = async (fresh, context) => {
      const session = await context.newCDPSession(fresh);
      await session.send('Network.enable');
      await session.send('Network.setCacheDisabled', { cacheDisabled: true });
    };
    const page = await visit(linkOf(url, [KEYSPACE, 'kitchen']), { prepare });
    await shows(page, 'list-view');
    await loadedRows(page);
    await jumpTo(page, 'offset', 1_000);
    await loadedRows(page, (rows) => rows.some(({ offset }) => offset === 1_000));
    await at(page, 'request-meter').click();
    await at(page, 'requests-panel').waitFor();
    const kinds = () => page.evaluate(() => [...document.querySelectorAll('[data-testid=action]')].map(({ dataset }) => dataset.title));
    await until(kinds, (titles) => titles.some((title) => title.includes('kitchen')));
    await page.waitForTimeout(500);
    const sent = front.requests.filter(({ query }) => query.has('list-type')).length;
    assert.equal(Number(await textOf(page, 'sum-lists')), sent, 'LISTs as the server counted them');
    assert.equal(Number((await textOf(page, 'sum-gets')).replaceAll(',', '')), front.requests.length - sent, 'GETs as the server counted them');
    await openActions(page);
    const shown = await page.locator('[data-testid=request]').count();
    assert.equal(shown, front.requests.length);
    assert.match(await textOf(page, 'sum-cost'), /^\$0\.0/);
    await pictures('requests', page);
    await at(page, 'requests-close').click();
    assert.equal(await at(page, 'requests-panel').count(), 0);
  },

  'no signature and no key is ever in the document, the link or the panel': async ({ lists, siteOf, visit }) => {
    const { connection } = await lists();
    const { origin } = await siteOf();
    const page = await visit(origin);
    await fillConnection(page, { ...connection, keys: KEYS });
    await shows(page, 'keyspaces-view');
    await page.goto(linkOf(`${origin}/`, [KEYSPACE, 'kitchen']).replace(/\?.*/, ''));
    await page.keyboard.press('r');
    await page.waitForTimeout(800);
    await openActions(page);
    const all = (await page.content()) + page.url();
    for (const secret of ['X-Amz-Signature', 'X-Amz-Credential', KEYS.secretAccessKey, KEYS.accessKeyId]) {
      assert.ok(!all.includes(secret), `${secret} is in the page`);
    }
  },

  'times in UTC and as the clock of the place has them; light and dark': async ({ lists, visit, picture }) => {
    const { url } = await lists();
    const page = await visit(linkOf(url, [KEYSPACE, 'kitchen'], { order: 'forwards' }));
    await shows(page, 'list-view');
    const [first] = await loadedRows(page);
    assert.ok(first.time.startsWith('2013-01-01 00:00'), first.time);
    await page.keyboard.press('z');
    await until(() => rowsOf(page), ([row]) => row.time.startsWith('2012-12-31 19:00'));
    await picture('local time', page);
    const colour = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const before = await colour();
    const seen = new Set([before]);
    for (let press = 0; press < 3; press += 1) {
      await page.keyboard.press('d');
      await page.waitForTimeout(150);
      seen.add(await colour());
    }
    assert.equal(seen.size, 2, [...seen].join());
    await page.reload();
    await until(() => rowsOf(page), (rows) => rows[0]?.time.startsWith('2012-12-31 19:00'));
  },

  'the keys are told of': async ({ lists, visit, pictures }) => {
    const { url } = await lists();
    const page = await visit(`${url}#/k`);
    await shows(page, 'keyspaces-view');
    await page.keyboard.press('?');
    await at(page, 'help').waitFor();
    await pictures('help', page);
    await page.keyboard.press('Escape');
    await until(() => at(page, 'help').count(), (count) => count === 0);
  },
};
