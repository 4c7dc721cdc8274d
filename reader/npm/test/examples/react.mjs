import assert from 'node:assert/strict';
import { join } from 'node:path';

import { pageAt } from '../lib/browser.mjs';
import { FLIGHTS, flights, newest } from '../lib/flights.mjs';
import { run } from '../lib/processes.mjs';
import { BUCKET } from '../lib/s3.mjs';
import { startSite } from '../lib/site.mjs';

const isGet = ({ query }) => !query.has('list-type');

export const cases = {
  // First: it builds what the others open. `npm run build` checks the types, too.
  'more pages come while one scrolls': async (t) => {
    await run('npm', ['run', 'build'], { cwd: t.folder });
    const page = await opened(t);
    const rows = page.locator('ol li');
    await rows.nth(49).waitFor();
    for (let turn = 0; (await rows.count()) < flights.length && turn < 100; turn++) {
      await page.getByRole('status').scrollIntoViewIfNeeded();
      await page.waitForTimeout(50);
    }
    await page.getByText('That is all.').waitFor();
    // In strict mode every effect runs twice: each item is there once all the same.
    assert.deepEqual(await page.locator('ol li span').allTextContents(), newest(flights.length));
    assert.equal(t.front.count('OPTIONS'), 0);
  },

  'a list that goes away takes its requests along': async (t) => {
    const page = await opened(t);
    await page.locator('ol li').nth(49).waitFor();
    t.front.reset();
    t.front.fault = (request) => (isGet(request) ? { stallAfter: 10 } : undefined);
    await page.getByRole('button', { name: 'another' }).click();
    await until(() => t.front.requests.filter(isGet).some(({ status }) => status));
    await page.getByRole('button', { name: 'none' }).click();
    await until(() => t.front.requests.filter(isGet).every(({ aborted }) => aborted));
  },

  'another list, and back': async (t) => {
    const page = await opened(t);
    await page.locator('ol li').nth(49).waitFor();
    await page.getByRole('button', { name: 'another' }).click();
    await page.getByText('of another list').waitFor();
    assert.equal(await page.locator('ol li').count(), 1);
    await page.getByRole('button', { name: FLIGHTS.key }).click();
    await page.locator('ol li').nth(49).waitFor();
    assert.equal(await page.getByText('of another list').count(), 0);
  },

  'what fails can be tried again': async (t) => {
    t.front.fault = (request) =>
      request.path.includes(FLIGHTS.key) || request.query.get('prefix')?.includes(FLIGHTS.key)
        ? { status: 403, headers: { 'access-control-allow-origin': '*' }, body: '<Error><Code>AccessDenied</Code></Error>' }
        : undefined;
    const page = await opened(t, ['status of 403']);
    const again = page.getByRole('button', { name: 'Try again.' });
    await again.waitFor();
    t.front.reset();
    await again.click();
    await page.locator('ol li').nth(49).waitFor();
  },
};

let isFilled = false;

async function opened({ s3, folder, front, browser, later }, expectedErrors = []) {
  if (!isFilled) {
    await s3.append(FLIGHTS.keyspace, 'another', [{ nonce: 0n, timestamp: 0n, value: Buffer.from('of another list') }]);
    isFilled = true;
  }
  const site = await startSite(join(folder, 'dist'));
  later(site.stop);
  const query = new URLSearchParams({ bucket: BUCKET, endpoint: front.endpoint, keyspace: FLIGHTS.keyspace });
  const { page, errors, close } = await pageAt(browser, `${site.origin}/index.html?${query}`);
  later(async () => {
    await close();
    assert.deepEqual(errors.filter((error) => !expectedErrors.some((expected) => error.includes(expected))), []);
  });
  page.setDefaultTimeout(20_000);
  return page;
}

async function until(condition) {
  for (let turn = 0; turn < 200; turn++) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  assert.fail(`not so after five seconds: ${condition}`);
}
