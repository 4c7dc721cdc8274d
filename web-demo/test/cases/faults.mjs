// What goes wrong while somebody reads: the page says what happened, and goes on.

import assert from 'node:assert/strict';

import { KEYS } from '../../../reader/npm/test/lib/s3.mjs';
import { at, checkSequence, fillConnection, jumpTo, linkOf, loadedRows, rowsOf, shows, textOf, until } from '../lib/app.mjs';
import { kitchen, kitchenItems, KEYSPACE } from '../lib/lists.mjs';

const cors = { 'access-control-allow-origin': '*', 'access-control-expose-headers': 'ETag' };

function xmlError(status, code) {
  const body = Buffer.from(`<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>${code}</Message></Error>`);
  return { status, headers: { 'content-type': 'application/xml', ...cors }, body };
}

/** A list of its own, of small commits, then compacted, so that most of it is in segments. */
async function listOf({ lists }, key, items, { compacts = true } = {}) {
  const { s3 } = await lists();
  for (let from = 0; from < items; from += 1_000) await s3.append(KEYSPACE, key, kitchenItems(from, Math.min(items, from + 1_000)));
  if (compacts) await s3.klstore(['compact', KEYSPACE, key]);
  return s3;
}

async function open({ lists, visit }, key, query) {
  const { url } = await lists();
  const page = await visit(linkOf(url, [KEYSPACE, key], query));
  await shows(page, 'list-view');
  await loadedRows(page);
  return page;
}

async function withFault(front, fault, run) {
  front.fault = fault;
  try {
    await run();
  } finally {
    front.reset();
  }
}

export const cases = {
  'the server is gone in mid-scroll, and comes back': async (t) => {
    const { front } = await t.lists();
    const page = await open(t, 'kitchen');
    const before = await rowsOf(page);
    const gone = () => {
      throw new Error('gone');
    };
    await withFault(front, gone, async () => {
      await jumpTo(page, 'offset', 2_000);
      await until(() => at(page, 'row-failure').count(), (count) => count === 1, 45_000);
      assert.match(await textOf(page, 'notice'), /does not answer/i);
      const rows = await rowsOf(page);
      assert.ok(rows.every(({ state }) => state === 'error' || state === 'loading'));
      await t.pictures('server gone', page);
      // What was loaded is still there.
      await page.keyboard.press('l');
      await page.keyboard.press('Home');
      assert.equal((await loadedRows(page))[0].offset, before[0].offset);
      await jumpTo(page, 'offset', 2_000);
    });
    if ((await at(page, 'retry-rows').count()) > 0) await at(page, 'retry-rows').click({ timeout: 1_000 }).catch(() => undefined);
    checkSequence(await loadedRows(page, (rows) => rows.some(({ offset }) => offset === 2_000)), 'backwards');
    await until(() => at(page, 'row-failure').count(), (count) => count === 0);
  },

  'answers of 503 are tried again without a word': async (t) => {
    const { front } = await t.lists();
    const page = await open(t, 'kitchen');
    let refused = 0;
    const busy = () => (refused < 2 ? ((refused += 1), xmlError(503, 'SlowDown')) : undefined);
    await withFault(front, busy, async () => {
      await jumpTo(page, 'offset', 3_100);
      await loadedRows(page, (rows) => rows.some(({ offset }) => offset === 3_100));
    });
    assert.ok(refused > 0);
    assert.equal(await at(page, 'row-failure').count(), 0);
  },

  'credentials expire: new ones are asked for, and it goes on where it was': async (t) => {
    const { front, connection } = await t.lists();
    const { origin } = await t.siteOf();
    const page = await t.visit(origin);
    await fillConnection(page, { ...connection, keys: { ...KEYS } });
    await shows(page, 'keyspaces-view');
    await at(page, 'keyspaces').getByRole('link', { name: KEYSPACE, exact: true }).click();
    await page.locator('[data-testid="key"][data-key="kitchen"]:visible').getByRole('link').click();
    await shows(page, 'list-view');
    await loadedRows(page);
    await withFault(front, () => xmlError(400, 'ExpiredToken'), async () => {
      await page.reload();
      // The keys are gone with the page, and a link does not connect by itself.
      await at(page, 'question-keys').click();
      await fillConnection(page, { ...connection, keys: KEYS });
      await page.locator('[data-testid="failure"][data-code="Credentials"]').waitFor();
      await t.pictures('credentials expired', page);
    });
    await at(page, 'connect-submit').click();
    await shows(page, 'list-view');
    await loadedRows(page);
    // In the middle of reading.
    await withFault(front, () => xmlError(400, 'ExpiredToken'), async () => {
      await jumpTo(page, 'offset', 1_500);
      await until(() => at(page, 'row-failure').count(), (count) => count === 1);
      assert.match(await textOf(page, 'notice'), /credentials/i);
      await t.pictures('credentials expired while reading', page);
    });
    const again = at(page, 'other-keys');
    if ((await again.count()) > 0) {
      await again.click();
      await fillConnection(page, { ...connection, keys: KEYS });
      await shows(page, 'list-view');
    } else {
      await at(page, 'retry-rows').click();
    }
    await loadedRows(page, (rows) => rows.some(({ offset }) => offset === 1_500));
  },

  'a list is compacted while it is read': async (t) => {
    const s3 = await listOf(t, 'compacted while read', 3_000, { compacts: false });
    const page = await open(t, 'compacted while read');
    await s3.klstore(['compact', KEYSPACE, 'compacted while read']);
    await s3.append(KEYSPACE, 'compacted while read', kitchenItems(3_000, 3_001));
    await s3.klstore(['gc', KEYSPACE, 'compacted while read']).catch(() => undefined);
    for (const offset of [2_000, 1_000, 10]) {
      await jumpTo(page, 'offset', offset);
      const rows = await loadedRows(page, (all) => all.some((row) => row.offset === offset));
      for (const row of rows) assert.equal(row.nonce, String(kitchen(row.offset).nonce));
    }
    assert.equal(await at(page, 'row-failure').count(), 0);
  },

  'a list is trimmed while it is read: that is said': async (t) => {
    const s3 = await listOf(t, 'trimmed while read', 3_000);
    const page = await open(t, 'trimmed while read');
    await s3.klstore(['trim', KEYSPACE, 'trimmed while read', '--before-offset', '2500']);
    await jumpTo(page, 'offset', 1_000);
    await until(() => textOf(page, 'notice'), (text) => /trimmed/.test(text));
    await loadedRows(page, (rows) => rows.every(({ offset }) => offset >= 2_500));
    await t.pictures('trimmed', page);
    // All of it, with the list open.
    await s3.klstore(['trim', KEYSPACE, 'trimmed while read', '--before-offset', '3000']);
    await page.reload();
    await shows(page, 'list-view', 'empty');
    await t.pictures('list empty', page);
  },

  'a list is appended to while it is read: nothing moves': async (t) => {
    const s3 = await listOf(t, 'appended while read', 2_000);
    const page = await open(t, 'appended while read');
    await jumpTo(page, 'offset', 1_500);
    const [before] = await loadedRows(page, (rows) => rows.some(({ offset }) => offset === 1_500));
    await s3.append(KEYSPACE, 'appended while read', kitchenItems(2_000, 2_100));
    await jumpTo(page, 'offset', 700);
    const rows = await loadedRows(page, (all) => all.some(({ offset }) => offset === 700));
    checkSequence(rows, 'backwards');
    for (const row of rows) assert.equal(row.nonce, String(kitchen(row.offset).nonce));
    await jumpTo(page, 'offset', 1_500);
    assert.equal((await loadedRows(page, (all) => all.some(({ offset }) => offset === 1_500)))[0].offset, before.offset);
  },

  'an object is damaged: its rows say so, and the others are read': async (t) => {
    await listOf(t, 'damaged', 4_000);
    const { front } = await t.lists();
    const page = await open(t, 'damaged');
    const damage = ({ path }) => {
      if (!/\/(seg|log)\/./.test(path)) return undefined;
      return {
        change: ({ status, headers, body }) => {
          const bent = Buffer.from(body);
          for (let place = 20; place < bent.length; place += 400) bent[place] ^= 0x55;
          return { status, headers, body: bent };
        },
      };
    };
    await withFault(front, damage, async () => {
      await jumpTo(page, 'offset', 500);
      await until(() => at(page, 'row-failure').count(), (count) => count === 1);
      assert.match(await textOf(page, 'notice'), /damaged/i);
      await t.pictures('damaged', page);
      await page.keyboard.press('l');
      await page.keyboard.press('Home');
      await loadedRows(page, ([first]) => first.offset === 3_999);
      await jumpTo(page, 'offset', 500);
    });
    await at(page, 'retry-rows').click();
    await loadedRows(page, (rows) => rows.some(({ offset }) => offset === 500));
  },

  'a list that cannot be opened can be tried again': async (t) => {
    const { front, url } = await t.lists();
    const page = await t.visit(`${url}#/k`);
    await shows(page, 'keyspaces-view');
    await withFault(front, () => xmlError(403, 'AccessDenied'), async () => {
      await page.goto(linkOf(url, [KEYSPACE, 'kitchen']));
      await shows(page, 'list-view', 'error');
      await t.pictures('list refused', page);
      await page.goto(`${url}#/k/${KEYSPACE}`);
      await shows(page, 'keys-view', 'error');
      await t.pictures('keys refused', page);
    });
    await at(page, 'retry').click();
    await shows(page, 'keys-view');
    await page.goto(`${url}#/k/no-such-keyspace`);
    await page.locator('[data-testid="failure"][data-code="KeyspaceNotFound"]').waitFor();
    await t.pictures('keyspace missing', page);
  },
};
