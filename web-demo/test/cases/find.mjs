// Finding in what is loaded, scanning within a bound, exporting, and values as text, JSON, hex and columns.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';

import { at, linkOf, loadedRows, rowsOf, shows, until } from '../lib/app.mjs';
import { KITCHEN, kitchen, KEYSPACE } from '../lib/lists.mjs';

async function kitchenAt({ lists, visit }, query = {}, options) {
  const { url } = await lists();
  const page = await visit(linkOf(url, [KEYSPACE, 'kitchen'], query), options);
  await shows(page, 'list-view');
  await loadedRows(page);
  return page;
}

const matches = async (page) => Number(await at(page, 'find-summary').getAttribute('data-matches'));

async function saved(page) {
  const [download] = await Promise.all([page.waitForEvent('download'), at(page, 'export-save').click()]);
  return { name: download.suggestedFilename(), text: await readFile(await download.path(), 'utf8') };
}

export const cases = {
  'what is loaded is found, marked, stepped through and filtered': async (t) => {
    const page = await kitchenAt(t);
    await page.keyboard.press('/');
    await page.keyboard.type('"door":"open"');
    // Of the items that one loads: every 97th.
    await until(() => matches(page), (count) => count >= 1 && count <= 8);
    await page.keyboard.press('Enter');
    await until(() => page.url(), (url) => /item=\d+/.test(url));
    const item = Number(/item=(\d+)/.exec(page.url())[1]);
    assert.equal(item % 97, 0);
    assert.ok((await page.locator('[data-testid=row] mark').count()) > 0);
    await at(page, 'find-only').check();
    const rows = await loadedRows(page, (all) => all.every(({ offset }) => offset % 97 === 0));
    assert.equal(rows.length, await matches(page));
    await t.pictures('find only', page);
    await at(page, 'find-close').click();
    await loadedRows(page, (all) => all.length > 8);
  },

  'a scan looks further, up to its bound, and can be cancelled': async (t) => {
    const page = await kitchenAt(t);
    await at(page, 'find-toggle').click();
    await at(page, 'find-input').fill('needle');
    await until(() => at(page, 'find-summary').innerText(), (text) => text.startsWith('0 matches'));
    await at(page, 'scan-limit').selectOption('1000');
    await at(page, 'scan-backwards').click();
    await shows(page, 'find-bar', 'done');
    const progress = at(page, 'scan-progress');
    assert.equal(await progress.getAttribute('data-looked'), '1000');
    assert.equal(await progress.getAttribute('data-found'), '1', '4777 is in the newest thousand');
    await t.pictures('scan', page);
    await at(page, 'scan-limit').selectOption('10000');
    await at(page, 'scan-backwards').click();
    await until(() => matches(page), (count) => count === 5);
    assert.match(await progress.innerText(), /up to the end/);
    await at(page, 'find-next').click();
    await loadedRows(page, (rows) => rows.some(({ offset }) => offset % 1_000 === 777));

    const { front } = await t.lists();
    await at(page, 'find-input').fill('never there');
    await until(() => at(page, 'find-summary').innerText(), (text) => text.startsWith('0 matches'));
    front.fault = () => new Promise((resolve) => setTimeout(resolve, 3_000));
    await at(page, 'scan-limit').selectOption('1000000');
    await at(page, 'scan-backwards').click();
    await at(page, 'scan-cancel').click();
    await shows(page, 'find-bar', 'cancelled');
    front.reset();
  },

  'JSON opens as a tree, and its fields become columns': async (t) => {
    const page = await kitchenAt(t, { order: 'forwards', item: '12' });
    await shows(page, 'item-panel');
    const line = (pointer) => page.locator(`[data-testid=json-line][data-pointer="${pointer}"]`);
    for (const pointer of ['/sensor', '/sensor/battery']) {
      const toggle = line(pointer).getByTestId('json-toggle');
      if ((await toggle.getAttribute('aria-expanded')) === 'false') await toggle.click();
    }
    await line('/sensor/battery/percent').waitFor();
    await line('/celsius').getByTestId('promote').click();
    await line('/sensor/battery/percent').getByTestId('promote').click();
    const rows = await loadedRows(page, ([first]) => first.fields.length === 2);
    for (const { offset, fields } of rows) {
      const value = JSON.parse(kitchen(offset).value);
      assert.deepEqual(fields, [String(value.celsius), String(value.sensor.battery.percent)]);
    }
    await t.pictures('columns', page);
    await page.locator('[data-column="/celsius"]').getByTestId('drop-column').click();
    await loadedRows(page, ([first]) => first.fields.length === 1);
    await line('/sensor').getByTestId('json-toggle').first().click();
    await until(() => line('/sensor/id').count(), (count) => count === 0);
  },

  'values as text and hex, and copied': async (t) => {
    const page = await kitchenAt(t, { item: '4321' }, { permissions: ['clipboard-read', 'clipboard-write'] });
    await shows(page, 'item-panel');
    await at(page, 'tab-text').click();
    assert.equal(await at(page, 'value-text').innerText(), kitchen(4_321).value);
    await at(page, 'copy-value').click();
    await until(() => page.evaluate(() => navigator.clipboard.readText()), (text) => text === kitchen(4_321).value);
    await at(page, 'tab-hex').click();
    assert.match(await at(page, 'value-hex').innerText(), /7b 22 72 6f 6f 6d/i);
    await at(page, 'copy-link').click();
    await until(() => page.evaluate(() => navigator.clipboard.readText()), (text) => text.includes('item=4321'));
    await at(page, 'item-next').click();
    await until(() => at(page, 'item-panel').getAttribute('data-offset'), (offset) => offset === '4322');

    const { url } = await t.lists();
    const bytes = await t.visit(linkOf(url, [KEYSPACE, 'bytes'], { item: '3' }));
    await shows(bytes, 'item-panel');
    await at(bytes, 'value-hex').waitFor();
    await t.pictures('bytes', bytes);
  },

  'a range is exported as NDJSON and as CSV, all of it and nothing else': async (t) => {
    const page = await kitchenAt(t, { column: '/door' });
    await at(page, 'export-open').click();
    await at(page, 'export-first').fill('100');
    await at(page, 'export-last').fill('4599');
    await t.pictures('export', page);
    await at(page, 'export-run').click();
    await at(page, 'export-done').waitFor();
    const { name, text } = await saved(page);
    assert.equal(name, 'rooms-kitchen-100-4599.ndjson');
    const lines = text.trimEnd().split('\n').map((line) => JSON.parse(line));
    assert.equal(lines.length, 4_500);
    for (const [number, { offset, timestamp, nonce, value }] of lines.entries()) {
      const item = kitchen(100 + number);
      assert.deepEqual([offset, timestamp, nonce, value], [100 + number, item.timestamp, String(item.nonce), item.value]);
    }

    await at(page, 'export-csv').check({ force: true });
    await at(page, 'export-first').fill('96');
    await at(page, 'export-last').fill('98');
    await at(page, 'export-run').click();
    await until(() => at(page, 'export-done').getAttribute('data-items'), (items) => items === '3');
    const csv = await saved(page);
    const [head, ...rest] = csv.text.trimEnd().split('\r\n');
    assert.equal(head, 'offset,timestamp,time,nonce,door,value,encoding');
    assert.deepEqual(rest.map((line) => line.split(',').slice(0, 5).join(',')), [96, 97, 98].map((offset) => {
      const { timestamp, nonce, value } = kitchen(offset);
      return [offset, timestamp, new Date(timestamp).toISOString(), nonce, JSON.parse(value).door].join(',');
    }));
    assert.ok(rest[0].includes('"{""room"":""kitchen""'), rest[0]);
    assert.ok(!`${text}${csv.text}`.includes('X-Amz'));
    await at(page, 'export-first').fill('5');
    await at(page, 'export-last').fill('4');
    await at(page, 'export-run').click();
    await page.getByText('the lower one first').waitFor();
    await at(page, 'export-close').click();
    assert.equal((await rowsOf(page))[0].offset, KITCHEN - 1);
  },
};
