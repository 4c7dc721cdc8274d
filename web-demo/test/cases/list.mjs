// A list: rows, orders, jumps, keys, the live tail, the open item and its columns.

import assert from 'node:assert/strict';

import { at, checkSequence, jumpTo, linkOf, loadedRows, rowsOf, shows, textOf, until } from '../lib/app.mjs';
import { FIRST, KITCHEN, kitchen, kitchenItems, KEYSPACE } from '../lib/lists.mjs';
import { PHONE } from '../lib/visit.mjs';

function checkKitchen(rows) {
  for (const { offset, time, nonce, value } of rows) {
    const item = kitchen(offset);
    assert.equal(Date.parse(`${time.replace(' ', 'T')}Z`), item.timestamp);
    assert.equal(nonce, String(item.nonce));
    assert.ok(value.includes(JSON.parse(item.value).sensor.id), value);
  }
}

async function kitchenAt({ lists, visit }, query = {}, options) {
  const { url } = await lists();
  const page = await visit(linkOf(url, [KEYSPACE, 'kitchen'], query), options);
  await shows(page, 'list-view');
  return page;
}

export const cases = {
  'the newest items are there first, each with its offset, time, nonce and value': async (t) => {
    const page = await kitchenAt(t);
    const rows = await loadedRows(page);
    assert.equal(rows[0].offset, KITCHEN - 1);
    assert.ok(rows.length >= 12, `${rows.length} rows`);
    checkSequence(rows, 'backwards');
    checkKitchen(rows);
    await until(() => textOf(page, 'item-count'), (text) => text === '5,000');
    await t.pictures('list', page);
  },

  'scrolling by hand, in both directions': async (t) => {
    const page = await kitchenAt(t);
    await loadedRows(page);
    await at(page, 'rows').hover();
    for (const [down, order] of [[9_000, (top) => top < KITCHEN - 200], [-4_000, (top) => top < KITCHEN - 100]]) {
      for (let moved = 0; moved < Math.abs(down); moved += 600) await page.mouse.wheel(0, Math.sign(down) * 600);
      const rows = await loadedRows(page, ([first]) => order(first.offset));
      checkSequence(rows, 'backwards');
      checkKitchen(rows);
    }
    // The link follows a little later.
    await until(async () => page.url(), (url) => /at=\d+/.test(url));
  },

  'jumps to an offset, a time and a nonce, and what cannot be jumped to': async (t) => {
    const page = await kitchenAt(t);
    for (const order of ['backwards', 'forwards']) {
      await at(page, `order-${order}`).click();
      await shows(page, 'list-view');
      for (const [kind, typed, offset] of [
        ['offset', '1234', 1_234],
        ['time', new Date(FIRST + 60_000 * 2_345).toISOString(), 2_345],
        ['time', '2013-01-02 03:04', 1_624],
        ['nonce', '6912', 3_456],
        ['nonce', '6911', 3_456],
        ['offset', '0', 0],
      ]) {
        await jumpTo(page, kind, typed);
        const rows = await loadedRows(page, (all) => all.some((row) => row.offset === offset));
        checkSequence(rows, order);
        checkKitchen(rows);
      }
    }
    await jumpTo(page, 'time', '2099-01-01');
    await loadedRows(page, (all) => all.some(({ offset }) => offset === KITCHEN - 1));
    await jumpTo(page, 'offset', 'many');
    await at(page, 'jump-problem').waitFor();
    await t.pictures('jump problem', page);
  },

  'the whole by keys alone': async (t) => {
    const page = await kitchenAt(t);
    await loadedRows(page);
    await page.keyboard.press('l');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await until(() => page.url(), (url) => url.includes(`item=${KITCHEN - 2}`) || url.includes(`item=${KITCHEN - 3}`));
    await page.keyboard.press('Escape');
    await until(() => page.url(), (url) => !url.includes('item='));
    await page.keyboard.press('End');
    checkSequence(await loadedRows(page, (rows) => rows.at(-1).offset === 0), 'backwards');
    await page.keyboard.press('Home');
    await loadedRows(page, (rows) => rows[0].offset === KITCHEN - 1);
    await page.keyboard.press('PageDown');
    await page.keyboard.press('PageDown');
    await loadedRows(page, (rows) => rows[0].offset < KITCHEN - 5);
    await page.keyboard.press('o');
    await until(() => at(page, 'list-view').getAttribute('data-order'), (order) => order === 'forwards');
    await page.keyboard.press('g');
    await page.keyboard.type('777');
    await page.keyboard.press('Enter');
    await loadedRows(page, (rows) => rows.some(({ offset }) => offset === 777));
  },

  'a link leads to the very same state': async (t) => {
    const query = { order: 'forwards', at: '2500', item: '2503', tab: 'hex', column: '/celsius' };
    const page = await kitchenAt(t, query);
    const rows = await loadedRows(page, ([first]) => first.offset === 2_500);
    assert.deepEqual(rows.filter(({ isOpen }) => isOpen).map(({ offset }) => offset), [2_503]);
    assert.equal(rows[0].fields[0], String(JSON.parse(kitchen(2_500).value).celsius));
    const search = new URLSearchParams(page.url().split('?')[1]);
    for (const [name, value] of Object.entries(query)) assert.equal(search.get(name), value, name);
    await t.pictures('item hex', page);
    await page.reload();
    await loadedRows(page, ([first]) => first.offset === 2_500);
  },

  'new items come in while the list is followed, and rows that are read stay': async (t) => {
    const { s3, url } = await t.lists();
    const page = await t.visit(linkOf(url, [KEYSPACE, 'live']));
    await shows(page, 'list-view');
    await loadedRows(page);
    const count = await until(() => textOf(page, 'item-count'), (text) => /\d/.test(text));
    const before = Number(count.replaceAll(',', ''));
    await at(page, 'follow').click();
    await s3.append(KEYSPACE, 'live', kitchenItems(before, before + 3));
    await loadedRows(page, ([first]) => first.offset === before + 2);
    await t.pictures('live', page);

    // Scrolled away, the rows stay where they are.
    await at(page, 'rows').evaluate((grid) => (grid.scrollTop = 280));
    await page.waitForTimeout(400);
    const kept = (await rowsOf(page))[0];
    await s3.append(KEYSPACE, 'live', kitchenItems(before + 3, before + 8));
    await until(() => at(page, 'new-items').getAttribute('data-count'), (count) => count === '5');
    const now = (await rowsOf(page))[0];
    assert.deepEqual([now.offset, now.top], [kept.offset, kept.top]);
    await t.pictures('live new items', page);
    await at(page, 'new-items').click();
    await loadedRows(page, ([first]) => first.offset === before + 7);

    // Paused, nothing moves at all; then all is there at once.
    await at(page, 'pause').click();
    await s3.append(KEYSPACE, 'live', kitchenItems(before + 8, before + 10));
    await until(() => at(page, 'new-items').getAttribute('data-count'), (count) => count === '2');
    assert.equal((await rowsOf(page))[0].offset, before + 7);
    await at(page, 'pause').click();
    await loadedRows(page, ([first]) => first.offset === before + 9);
    await at(page, 'follow').click();
    assert.equal(await at(page, 'live').getAttribute('data-state'), 'off');
  },

  'a list that was never appended to is waited for': async (t) => {
    const { s3, url } = await t.lists();
    const page = await t.visit(linkOf(url, [KEYSPACE, 'to come']));
    await shows(page, 'list-view', 'missing');
    await t.pictures('list missing', page);
    await page.getByRole('button', { name: 'Wait for the first item' }).click();
    await s3.append(KEYSPACE, 'to come', kitchenItems(0, 2));
    await loadedRows(page, (rows) => rows.length === 2);
  },

  'on a phone': async (t) => {
    const page = await kitchenAt(t, {}, { viewport: PHONE });
    checkKitchen(await loadedRows(page).then((rows) => rows.filter(({ nonce, time }) => nonce && time)));
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(width <= PHONE.width, `${width} wide`);
    await t.picture('list on a phone', page);
    await at(page, 'row').first().tap();
    await until(() => page.url(), (url) => url.includes('item='));
    await t.picture('item on a phone', page);
    assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= PHONE.width);
  },
};
