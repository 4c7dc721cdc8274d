// Keyspaces, keys, values and errors that want to be more than text.

import assert from 'node:assert/strict';

import { at, linkOf, loadedRows, shows, until } from '../lib/app.mjs';
import { HOSTILE_NAME, HOSTILE_VALUES } from '../lib/lists.mjs';

async function checkHarmless(page) {
  const found = await page.evaluate(() => ({
    hacked: 'hacked' in window || 'polluted' in {},
    images: document.images.length,
    scripts: [...document.scripts].filter(({ src }) => !src.startsWith(location.origin)).length,
    handlers: document.querySelectorAll('[onload],[onerror],[onclick]').length,
    links: [...document.querySelectorAll('[href],[src],[action]')]
      .map((element) => element.href ?? element.src ?? element.action)
      .filter((url) => typeof url === 'string' && /^\s*(javascript|vbscript|data:text)/i.test(url)),
    styles: document.querySelectorAll('style').length,
  }));
  assert.deepEqual(found, { hacked: false, images: 0, scripts: 0, handlers: 0, links: [], styles: found.styles });
}

export const cases = {
  'names of keyspaces and keys stay text': async ({ lists, visit, pictures }) => {
    const { url } = await lists();
    const page = await visit(`${url}#/k`);
    await shows(page, 'keyspaces-view');
    await at(page, 'keyspaces').getByRole('link', { name: HOSTILE_NAME }).click();
    await shows(page, 'keys-view');
    await checkHarmless(page);
    await page.locator('[data-testid="key"][data-state="ready"]:visible').getByRole('link', { name: HOSTILE_NAME }).click();
    await shows(page, 'list-view');
    await loadedRows(page);
    await checkHarmless(page);
    await pictures('hostile', page);
  },

  'values stay text, as text, JSON and hex, and their trees are bounded': async ({ lists, visit, picture }) => {
    const { url } = await lists();
    const page = await visit(linkOf(url, [HOSTILE_NAME, HOSTILE_NAME], { order: 'forwards' }));
    await shows(page, 'list-view');
    const rows = await loadedRows(page);
    assert.equal(rows.length, HOSTILE_VALUES.length);
    await page.keyboard.press('l');
    for (const [number] of HOSTILE_VALUES.entries()) {
      await page.locator(`[data-testid=row][data-offset="${number}"] [data-testid=cell-value]`).click();
      await until(() => at(page, 'item-panel').getAttribute('data-offset'), (offset) => offset === String(number));
      await shows(page, 'item-panel');
      for (const tab of ['json', 'text', 'hex']) {
        await at(page, `tab-${tab}`).click();
        await until(() => at(page, `tab-${tab}`).getAttribute('aria-selected'), (selected) => selected === 'true');
        await checkHarmless(page);
        if (tab === 'json' && (await at(page, 'json-tree').count()) > 0) {
          const toggles = page.locator('[data-testid=json-toggle][aria-expanded=false]');
          for (let opened = 0; opened < 20 && (await toggles.count()) > 0; opened += 1) await toggles.first().click();
          const lines = Number(await at(page, 'json-tree').getAttribute('data-lines'));
          assert.ok(lines <= 5_000, `${lines} lines`);
        }
      }
      await picture(`hostile ${number}`, page);
    }
    const nodes = await page.evaluate(() => document.getElementsByTagName('*').length);
    assert.ok(nodes < 20_000, `${nodes} elements`);
  },

  'a hostile field as a column, found, and exported': async ({ lists, visit }) => {
    const { url } = await lists();
    const page = await visit(linkOf(url, [HOSTILE_NAME, HOSTILE_NAME], { order: 'forwards', column: '/html', find: '<img', only: '1' }));
    await shows(page, 'list-view');
    await loadedRows(page, (rows) => rows.length >= 2);
    await checkHarmless(page);
    const again = await visit(linkOf(url, [HOSTILE_NAME, HOSTILE_NAME], { order: 'forwards', column: '/__proto__/polluted', item: '3' }));
    await shows(again, 'item-panel');
    await checkHarmless(again);
  },

  'what a store says in an error stays text': async ({ lists, visit }) => {
    const { url, front } = await lists();
    const body = Buffer.from(`<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>&lt;img src=x onerror=window.hacked=1&gt;${'x'.repeat(5_000)}</Message></Error>`);
    front.fault = () => ({ status: 403, headers: { 'content-type': 'application/xml', 'access-control-allow-origin': '*' }, body });
    try {
      const page = await visit(`${url}#/k`);
      await page.locator('[data-testid="failure"][data-code="AccessDenied"]').waitFor();
      await checkHarmless(page);
      assert.ok(!(await page.content()).includes('X-Amz-Signature'));
    } finally {
      front.reset();
    }
  },
};
