// The time line: drawn from the index alone, jumped in, brushed, zoomed, by mouse and by keys.

import assert from 'node:assert/strict';

import { at, linkOf, loadedRows, rowsOf, shows, until } from '../lib/app.mjs';
import { FIRST, KITCHEN, KEYSPACE } from '../lib/lists.mjs';

const MINUTE = 60_000;
const LAST = FIRST + (KITCHEN - 1) * MINUTE;

/** The time at the top row, as a part of the whole list's. */
async function share(page) {
  const [first] = await rowsOf(page);
  return first?.time ? (Date.parse(`${first.time.replace(' ', 'T')}Z`) - FIRST) / (LAST - FIRST) : NaN;
}

async function kitchenAt({ lists, visit }) {
  const { url } = await lists();
  const page = await visit(linkOf(url, [KEYSPACE, 'kitchen'], { order: 'forwards' }));
  await shows(page, 'list-view');
  await shows(page, 'timeline');
  await loadedRows(page);
  return page;
}

export const cases = {
  'a hundred million items are drawn without reading one': async ({ giant, visit, pictures }) => {
    const { url, endpoint, keyspace, key } = await giant();
    const page = await visit(linkOf(url, [keyspace, key]));
    await shows(page, 'list-view');
    await shows(page, 'timeline');
    const asked = page.seen.requests.filter((request) => request.url.startsWith(endpoint));
    // The rows in sight are in the newest commit and one segment; the rest is index.
    const segments = asked.filter((request) => request.url.includes('/seg/')).length;
    assert.ok(segments <= 3, `${segments} requests for segments`);
    assert.ok(asked.length < 40, `${asked.length} requests`);
    assert.ok(Number(await at(page, 'timeline').getAttribute('data-spans')) > 50);
    await pictures('giant time line', page);
  },

  'a click jumps there, and the mark is where the rows are': async (t) => {
    const page = await kitchenAt(t);
    const { x, y, width, height } = await at(page, 'timeline-plot').boundingBox();
    for (const part of [0.5, 0.2, 0.8]) {
      await page.mouse.click(x + width * part, y + height / 2);
      await until(() => share(page), (found) => Math.abs(found - part) < 0.06);
      const mark = await until(() => at(page, 'timeline-mark').first().boundingBox(), (box) => box !== null && Math.abs((box.x + box.width / 2 - x) / width - part) < 0.08);
      assert.ok(mark.width > 0);
    }
    await t.picture('time line mark', page);
  },

  'a brush zooms in, and the link has it': async (t) => {
    const page = await kitchenAt(t);
    const { x, y, width, height } = await at(page, 'timeline-plot').boundingBox();
    await page.mouse.move(x + width * 0.4, y + height / 2);
    await page.mouse.down();
    for (let step = 1; step <= 8; step += 1) await page.mouse.move(x + width * (0.4 + 0.025 * step), y + height / 2);
    await page.mouse.up();
    await until(() => at(page, 'timeline').getAttribute('data-zoomed'), (zoomed) => zoomed === 'true');
    await until(() => share(page), (found) => Math.abs(found - 0.4) < 0.06);
    const [from, to] = /window=(-?\d+)(?:~|%7E)(-?\d+)/.exec(await until(() => page.url(), (url) => url.includes('window='))).slice(1).map(Number);
    assert.ok(from > FIRST && to < LAST && from < to, `${from} to ${to}`);
    await shows(page, 'timeline');
    await t.pictures('time line zoomed', page);
    await page.reload();
    await shows(page, 'timeline');
    assert.equal(await at(page, 'timeline').getAttribute('data-zoomed'), 'true');
    await at(page, 'timeline-reset').click();
    await until(() => at(page, 'timeline').getAttribute('data-zoomed'), (zoomed) => zoomed === 'false');
  },

  'by keys': async (t) => {
    const page = await kitchenAt(t);
    await page.keyboard.press('t');
    await page.keyboard.press('End');
    await page.keyboard.press('Enter');
    await until(() => share(page), (found) => found > 0.9);
    await page.keyboard.press('t');
    await page.keyboard.press('Home');
    for (let step = 0; step < 5; step += 1) await page.keyboard.press('ArrowRight');
    for (let step = 0; step < 10; step += 1) await page.keyboard.press('Shift+ArrowRight');
    assert.match(await at(page, 'timeline-said').innerText(), /about [\d,]+ items/);
    await page.keyboard.press('Enter');
    await until(() => at(page, 'timeline').getAttribute('data-zoomed'), (zoomed) => zoomed === 'true');
    await page.keyboard.press('0');
    await until(() => at(page, 'timeline').getAttribute('data-zoomed'), (zoomed) => zoomed === 'false');
  },
};
