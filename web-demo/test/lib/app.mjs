// How a user gets about in the page; see TESTING.md of the page for the names.

import assert from 'node:assert/strict';

/** A view that is in a state: `ready` unless another is named. */
export async function shows(page, view, state = 'ready') {
  await page.locator(`[data-testid="${view}"][data-state="${state}"]`).waitFor();
}

export function at(page, testid) {
  return page.getByTestId(testid);
}

export async function textOf(page, testid) {
  return (await at(page, testid).first().innerText()).trim();
}

/** Waits until `read` answers what `isRight` takes; what it answered last is in the error. */
export async function until(read, isRight, milliseconds = 15_000) {
  const end = performance.now() + milliseconds;
  let found;
  for (;;) {
    found = await read();
    if (isRight(found)) return found;
    if (performance.now() > end) assert.fail(`it did not come; the last was: ${JSON.stringify(found)?.slice(0, 2_000)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export function linkOf(base, path, query = {}, connection) {
  const all = new URLSearchParams(query);
  if (connection) {
    all.set('endpoint', connection.endpoint);
    all.set('bucket', connection.bucket);
    all.set('region', 'us-east-1');
    all.set('style', 'path');
  }
  const parts = path.map(encodeURIComponent).join('/');
  return `${base}#/k/${parts}${all.size === 0 ? '' : `?${all}`}`;
}

export async function fillConnection(page, { endpoint, bucket, region, prefix, keys }) {
  await at(page, 'connect-bucket').fill(bucket);
  await at(page, 'connect-endpoint').fill(endpoint);
  if (region) await at(page, 'connect-region').fill(region);
  if (prefix) await at(page, 'connect-prefix').fill(prefix);
  const pathStyle = at(page, 'connect-path-style');
  if (!(await pathStyle.isChecked())) await pathStyle.check();
  if (keys) {
    await at(page, 'keys-typed').check({ force: true });
    await at(page, 'connect-access-key').fill(keys.accessKeyId);
    await at(page, 'connect-secret-key').fill(keys.secretAccessKey);
    if (keys.sessionToken) await at(page, 'connect-session-token').fill(keys.sessionToken);
  }
  await at(page, 'connect-submit').click();
}

/** All that a page could have kept, as text. */
export async function keptBy(page) {
  return page.evaluate(async () => {
    const all = { local: { ...localStorage }, session: { ...sessionStorage }, cookies: document.cookie, href: location.href };
    const databases = (await indexedDB.databases?.()) ?? [];
    return JSON.stringify({ ...all, state: history.state, name: window.name, databases, caches: await caches?.keys?.() });
  });
}

/** The rows that are in sight, from the top: `{ offset, state, time, nonce, fields, value, top }`. */
export async function rowsOf(page) {
  return page.evaluate(() => {
    const scroller = document.querySelector('[data-testid=rows]');
    if (!scroller) return [];
    const { top: frame, bottom } = scroller.getBoundingClientRect();
    const begin = frame + scroller.querySelector('[role=row]').getBoundingClientRect().height;
    const found = [];
    for (const row of scroller.querySelectorAll('[data-testid=row]')) {
      const { top, height } = row.getBoundingClientRect();
      if (row.hidden || height === 0 || top < begin - height / 2 || top + height / 2 > bottom) continue;
      const text = (kind) => row.querySelector(`[data-testid=cell-${kind}]`)?.textContent;
      const fields = [...row.querySelectorAll('[data-testid=cell-field]')].map((cell) => cell.textContent);
      const { offset, state } = row.dataset;
      const shown = { offset: Number(offset), state, time: text('time'), nonce: text('nonce'), fields, value: text('value') };
      found.push({ ...shown, cell: text('offset'), top: Math.round(top), isOpen: row.classList.contains('is-open') });
    }
    return found.sort((one, other) => one.top - other.top);
  });
}

/** Waits until all rows in sight are loaded and satisfy `isRight`, and answers them. */
export async function loadedRows(page, isRight = () => true) {
  const all = (rows) => rows.length > 0 && rows.every(({ state }) => state === 'ready') && isRight(rows);
  return until(() => rowsOf(page), all);
}

/** Rows stand one below the other, without a gap, each offset once. */
export function checkSequence(rows, order) {
  const step = order === 'forwards' ? 1 : -1;
  for (const [number, row] of rows.entries()) {
    assert.equal(row.cell, String(row.offset));
    if (number === 0) continue;
    assert.equal(row.offset, rows[number - 1].offset + step, 'offsets follow each other');
  }
  const gaps = new Set(rows.slice(1).map((row, number) => row.top - rows[number].top));
  assert.ok([...gaps].every((gap) => Math.abs(gap - [...gaps][0]) <= 1), `rows are unevenly apart: ${[...gaps]}`);
}

export async function jumpTo(page, kind, value) {
  await at(page, 'jump-kind').selectOption(kind);
  await at(page, 'jump-value').fill(String(value));
  await at(page, 'jump-value').press('Enter');
}
