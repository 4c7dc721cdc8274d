// The main path over versitygw, whose buckets have CORS rules of their own as AWS's do: refused, put right by the rule
// that the page shows, then read.

import assert from 'node:assert/strict';

import { at, fillConnection, shows, until } from '../lib/app.mjs';
import { kitchenItems, KEYSPACE } from '../lib/lists.mjs';
import { KEYS, startVersitygw } from '../lib/versitygw.mjs';

export const cases = {
  'versitygw: the rule that the page shows opens the bucket, with keys and without': async ({ siteOf, visit, picture }) => {
    const store = await startVersitygw('lists-of-versity');
    try {
      await store.klstore(['keyspace', 'create', KEYSPACE]);
      const input = kitchenItems(0, 300).map((item) => JSON.stringify({ ...item, nonce: String(item.nonce) })).join('\n');
      await store.klstore(['append', '--format', 'ndjson', KEYSPACE, 'kitchen'], { input });

      const { origin } = await siteOf();
      const page = await visit(origin);
      const connection = { endpoint: store.endpoint, bucket: store.bucket };
      await fillConnection(page, { ...connection, keys: KEYS });
      const failure = page.locator('[data-testid="failure"][data-code="CrossOrigin"]');
      await failure.waitFor();
      await picture('versitygw refuses', page);
      const rule = JSON.parse(await failure.getByTestId('cors-rule').innerText());
      await store.putCors(rule);
      await at(page, 'connect-submit').click();
      await shows(page, 'keyspaces-view');
      await at(page, 'keyspaces').getByRole('link', { name: KEYSPACE, exact: true }).click();
      await page.locator('[data-testid="key"][data-key="kitchen"][data-state="ready"]:visible').getByRole('link').click();
      await shows(page, 'list-view');
      await until(() => page.locator('[data-offset="299"]:visible').count(), (count) => count > 0);
      await picture('versitygw list', page);
      const preflights = page.seen.requests.filter(({ method }) => method === 'OPTIONS');
      assert.equal(preflights.length, 0);

      await store.putPublicRead();
      const public_ = await visit(origin);
      await fillConnection(public_, connection);
      await shows(public_, 'keyspaces-view');
      assert.ok(public_.seen.requests.every(({ url }) => !url.includes('X-Amz-Signature')));
    } finally {
      await store.stop();
    }
  },
};
