import assert from 'node:assert/strict';

import { pageAt } from '../lib/browser.mjs';
import { FLIGHTS, flights, newest } from '../lib/flights.mjs';
import { run } from '../lib/processes.mjs';
import { BUCKET } from '../lib/s3.mjs';
import { startSite } from '../lib/site.mjs';

export const cases = {
  'a list, page by page, to its end': async (t) => {
    const page = await opened(t, FLIGHTS);
    const rows = page.locator('tbody tr');
    await rows.nth(49).waitFor();
    assert.equal(await rows.count(), 50);
    for (let shown = 50; shown < flights.length; ) {
      await page.getByRole('button', { name: 'Older items' }).click();
      shown = Math.min(shown + 50, flights.length);
      await rows.nth(shown - 1).waitFor();
      assert.equal(await rows.count(), shown);
    }
    assert.deepEqual(await page.locator('tbody td:last-child').allTextContents(), newest(flights.length));
    assert.ok(await page.getByRole('button').isHidden());
    assert.equal(t.front.count('OPTIONS'), 0);
    assert.ok(t.front.requests.every(({ query }) => !query.has('X-Amz-Signature')), 'there are no keys');
  },

  'a mistake is said': async (t) => {
    const page = await opened(t, { keyspace: 'nothing', key: 'here' });
    await page.getByText("keyspace 'nothing'").or(page.getByText('does not exist')).first().waitFor();
  },
};

async function opened({ folder, front, browser, later }, names) {
  await run('npm', ['run', 'build'], { cwd: folder });
  const site = await startSite(folder);
  later(site.stop);
  const query = new URLSearchParams({ bucket: BUCKET, endpoint: front.endpoint, ...names });
  const { page, errors, close } = await pageAt(browser, `${site.origin}/index.html?${query}`);
  later(async () => {
    await close();
    // What a store refuses a browser logs by itself.
    assert.deepEqual(errors.filter((error) => !error.includes('status of 404')), []);
  });
  page.setDefaultTimeout(20_000);
  return page;
}
