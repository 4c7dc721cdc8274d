// A hundred million items: row N shows item N, wherever one goes, and by whatever means.

import assert from 'node:assert/strict';

import { at, checkSequence, jumpTo, linkOf, loadedRows, rowsOf, shows, textOf, until } from '../lib/app.mjs';

const PLACES = 20;

function checkGiant(rows) {
  for (const { offset, nonce, value } of rows) {
    assert.ok(value.includes(String(offset).padStart(12, '0')), `row ${offset} shows ${value}`);
    assert.equal(nonce, String(1_000_000_000_000 + offset));
  }
}

/** The same places in every run, anywhere in the list. */
function places(items) {
  let state = 0x2545f491;
  return Array.from({ length: PLACES }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return Math.floor(((state >>> 0) / 2 ** 32) * items);
  });
}

export const cases = {
  'row N is item N at 20 places that are jumped to, in both orders': async ({ giant, visit, pictures }) => {
    const { url, keyspace, key, items } = await giant();
    assert.ok(items >= 100_000_000);
    const page = await visit(linkOf(url, [keyspace, key]));
    await shows(page, 'list-view');
    checkGiant(await loadedRows(page, ([first]) => first.offset === items - 1));
    // Rows may be there before their number is.
    await until(() => textOf(page, 'item-count'), (text) => text.replaceAll(',', '') === String(items));
    for (const [number, place] of places(items).entries()) {
      const order = number % 2 === 0 ? 'backwards' : 'forwards';
      await at(page, `order-${order}`).click();
      await jumpTo(page, 'offset', place);
      const rows = await loadedRows(page, (all) => all.some(({ offset }) => offset === place));
      checkSequence(rows, order);
      checkGiant(rows);
      // Some way on by hand, as in any list.
      await at(page, 'rows').hover();
      for (let step = 0; step < 3; step += 1) await page.mouse.wheel(0, 400);
      const moved = await loadedRows(page, ([first]) => first.offset !== rows[0].offset);
      checkSequence(moved, order);
      checkGiant(moved);
      const rowHeight = rows[1].top - rows[0].top;
      const expected = Math.round(1_200 / rowHeight);
      const away = Math.abs(moved[0].offset - rows[0].offset);
      assert.ok(away <= expected + 2, `1,200 pixels moved it by ${away} rows`);
    }
    await pictures('giant', page);
  },

  'the scroll bar reaches all of it': async ({ giant, visit }) => {
    const { url, keyspace, key, items } = await giant();
    const page = await visit(linkOf(url, [keyspace, key], { order: 'forwards' }));
    await shows(page, 'list-view');
    await loadedRows(page, ([first]) => first.offset === 0);
    for (const share of [0.5, 0.25, 0.75, 0.1, 0.9]) {
      await at(page, 'rows').evaluate((grid, part) => (grid.scrollTop = (grid.scrollHeight - grid.clientHeight) * part), share);
      const near = (rows) => Math.abs(rows[0].offset / items - share) < 0.15;
      const rows = await loadedRows(page, near);
      checkSequence(rows, 'forwards');
      checkGiant(rows);
    }
    await at(page, 'rows').evaluate((grid) => (grid.scrollTop = grid.scrollHeight));
    checkGiant(await loadedRows(page, (rows) => rows.at(-1).offset === items - 1));
    await page.keyboard.press('l');
    await page.keyboard.press('Home');
    checkGiant(await loadedRows(page, ([first]) => first.offset === 0));
    // A line at a time over the border of what the bar tells exactly.
    await page.keyboard.press('End');
    const [last] = (await loadedRows(page, (rows) => rows.at(-1).offset === items - 1)).slice(-1);
    for (let step = 0; step < 30; step += 1) await page.keyboard.press('ArrowUp');
    await until(() => rowsOf(page), (rows) => rows.at(-1).offset < last.offset);
    checkGiant(await loadedRows(page));
  },

  'jumps by time and nonce, with few requests': async ({ giant, visit }) => {
    const { url, endpoint, keyspace, key, items } = await giant();
    const page = await visit(linkOf(url, [keyspace, key]));
    await shows(page, 'list-view');
    await loadedRows(page);
    for (const place of places(items).slice(0, 4)) {
      const before = page.seen.requests.length;
      await jumpTo(page, 'nonce', 1_000_000_000_000 + place);
      checkGiant(await loadedRows(page, (all) => all.some(({ offset }) => offset === place)));
      const sent = page.seen.requests.slice(before).filter((request) => request.url.startsWith(endpoint));
      // The item, then the rows around it in two or three loads, each of which looks for the newest commit.
      assert.ok(sent.length <= 14, `${sent.length} requests for a jump`);
    }
  },
};
