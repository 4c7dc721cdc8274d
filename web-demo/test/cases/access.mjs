// axe on every view, light, dark and on a phone: nothing serious, nothing critical.

import assert from 'node:assert/strict';

import axe from 'axe-core';

import { at, linkOf, loadedRows, shows } from '../lib/app.mjs';
import { HOSTILE_NAME, KEYSPACE } from '../lib/lists.mjs';
import { DESKTOP, PHONE } from '../lib/visit.mjs';


/** Each view, by what one does from a fresh page to see it. */
const VIEWS = {
  connect: async (page, { url }) => {
    await page.goto(`${url}#/connect`);
    await at(page, 'connect-form').waitFor();
    await at(page, 'keys-typed').check({ force: true });
  },
  question: async (page, { url, connection }) => {
    await page.goto(linkOf(url, ['rooms'], {}, { ...connection, bucket: 'another-bucket' }));
    await at(page, 'link-question').waitFor();
  },
  keyspaces: async (page, { url }) => {
    await page.goto(`${url}#/k`);
    await shows(page, 'keyspaces-view');
  },
  keys: async (page, { url }) => {
    await page.goto(linkOf(url, ['many']));
    await shows(page, 'keys-view');
    await page.locator('[data-testid="key"][data-state="ready"]:visible').first().waitFor();
  },
  'no keys': async (page, { url }) => {
    await page.goto(linkOf(url, ['empty']));
    await shows(page, 'keys-view', 'empty');
  },
  'no such keyspace': async (page, { url }) => {
    await page.goto(linkOf(url, ['nowhere']));
    await at(page, 'failure').waitFor();
  },
  list: async (page, { url }) => {
    await page.goto(linkOf(url, [KEYSPACE, 'kitchen']));
    await shows(page, 'list-view');
    await loadedRows(page);
  },
  item: async (page, { url }) => {
    await page.goto(linkOf(url, [KEYSPACE, 'kitchen'], { item: '4990', column: '/celsius' }));
    await shows(page, 'item-panel');
    await loadedRows(page);
  },
  find: async (page, { url }) => {
    await page.goto(linkOf(url, [KEYSPACE, 'kitchen'], { find: 'open', only: '1' }));
    await at(page, 'find-bar').waitFor();
  },
  live: async (page, { url }) => {
    await page.goto(linkOf(url, [KEYSPACE, 'live'], { follow: '1' }));
    await shows(page, 'list-view');
    await loadedRows(page);
  },
  export: async (page, { url }) => {
    await page.goto(linkOf(url, [KEYSPACE, 'kitchen']));
    await shows(page, 'list-view');
    await loadedRows(page);
    await at(page, 'export-open').click();
    await at(page, 'export-form').waitFor();
  },
  requests: async (page, { url }) => {
    await page.goto(linkOf(url, [KEYSPACE, 'kitchen']));
    await shows(page, 'list-view');
    await loadedRows(page);
    await page.keyboard.press('r');
    await at(page, 'requests-panel').waitFor();
  },
  help: async (page, { url }) => {
    await page.goto(`${url}#/k`);
    await shows(page, 'keyspaces-view');
    await page.keyboard.press('?');
    await at(page, 'help').waitFor();
  },
  'list missing': async (page, { url }) => {
    await page.goto(linkOf(url, [KEYSPACE, 'never']));
    await shows(page, 'list-view', 'missing');
  },
  hostile: async (page, { url }) => {
    await page.goto(linkOf(url, [HOSTILE_NAME, HOSTILE_NAME], { item: '0' }));
    await shows(page, 'item-panel');
  },
};

const LOOKS = [
  ['light', { theme: 'light', viewport: DESKTOP }],
  ['dark', { theme: 'dark', viewport: DESKTOP }],
  ['phone', { theme: 'light', viewport: PHONE }],
];

async function violations(page) {
  // What moves is looked at when it stands; some things never do.
  await page.evaluate(() => {
    const ends = document.getAnimations().filter((animation) => animation.effect?.getComputedTiming().endTime < 5_000);
    return Promise.all(ends.map((animation) => animation.finished.catch(() => undefined)));
  });
  await page.evaluate(axe.source);
  const { violations: found } = await page.evaluate(() =>
    window.axe.run(document, { resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'] }),
  );
  return found
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) => nodes.slice(0, 3).map(({ target, failureSummary }) => `${id}: ${target} ${failureSummary.replaceAll(/\s+/g, ' ')}`));
}

export const cases = Object.fromEntries(
  LOOKS.map(([look, options]) => [
    `axe finds nothing serious in any view, ${look}`,
    async ({ lists, visit, picture }) => {
      const given = await lists();
      const found = {};
      // axe is given to the page in a way that its policy would not let anybody else.
      const page = await visit(given.url, { ...options, bypassCSP: true, reducedMotion: 'reduce' });
      for (const [name, reach] of Object.entries(VIEWS)) {
        await page.goto('about:blank');
        await reach(page, given);
        const wrong = await violations(page);
        if (wrong.length > 0) found[name] = wrong;
        await picture(`${name} axe ${look}`, page);
      }
      assert.deepEqual(found, {});
    },
  ]),
);
