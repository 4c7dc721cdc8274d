import assert from 'node:assert/strict';

import { pageAt } from '../lib/browser.mjs';
import { FLIGHTS, newest } from '../lib/flights.mjs';
import { start } from '../lib/processes.mjs';
import { BUCKET, KEYS } from '../lib/s3.mjs';

export const cases = {
  'the page reads a list, and holds no keys': async ({ folder, front, browser, later }) => {
    const server = await start(process.execPath, ['server.mjs', FLIGHTS.keyspace, FLIGHTS.key], {
      cwd: folder,
      env: {
        PORT: '0',
        KLSTORE_BUCKET: BUCKET,
        KLSTORE_ENDPOINT: front.endpoint,
        AWS_ACCESS_KEY_ID: KEYS.accessKeyId,
        AWS_SECRET_ACCESS_KEY: KEYS.secretAccessKey,
      },
      isReady: (said) => /http:\/\/[\d.:]+/.exec(said)?.[0],
    });
    later(server.stop);
    const { page, errors, close } = await pageAt(browser, server.ready);
    later(close);
    const rows = page.locator('#items li');
    for (const visit of ['the first', 'the second']) {
      await rows.nth(19).waitFor({ timeout: 20_000 }).catch(async (error) => {
        assert.fail(`${visit} visit: ${await page.getByRole('status').textContent()} ${errors} ${error}`);
      });
      assert.deepEqual(await rows.allTextContents(), newest(20));
      // What any script of the page could look at.
      const seen = await page.evaluate(() => performance.getEntriesByType('resource').map(({ name }) => name));
      assert.ok(seen.some((url) => url.startsWith(front.endpoint)), seen.join('\n'));
      assert.ok(!seen.some((url) => url.includes('X-Amz-')), seen.join('\n'));
      await page.reload();
    }
    assert.ok(front.requests.length >= 2);
    assert.equal(front.count('OPTIONS'), 0);
    for (const { query, status } of front.requests) {
      assert.ok(query.get('X-Amz-Credential')?.startsWith(KEYS.accessKeyId), 'the service worker signs');
      assert.equal(Number(query.get('X-Amz-Expires')), 900);
      assert.ok(status < 300, `status ${status}`);
    }
    assert.deepEqual(errors, []);
  },
};
