// The connect form, keyspaces and keys.

import assert from 'node:assert/strict';

import { KEYS, startS3 } from '../../../reader/npm/test/lib/s3.mjs';
import { at, fillConnection, keptBy, linkOf, shows, textOf, until } from '../lib/app.mjs';

export const cases = {
  'the form connects with typed keys, which are kept nowhere': async ({ lists, siteOf, visit, pictures }) => {
    const { front, connection } = await lists();
    const { origin } = await siteOf();
    const page = await visit(origin);
    await at(page, 'connect-form').waitFor();
    await pictures('connect', page);
    await at(page, 'connect-bucket').fill('');
    await at(page, 'connect-submit').click();
    assert.match(await page.locator('body').innerText(), /Name the bucket/);

    front.reset();
    await fillConnection(page, { ...connection, keys: KEYS });
    await shows(page, 'keyspaces-view');
    assert.ok(front.requests.every(({ query }) => query.has('X-Amz-Signature')), 'requests are signed');
    const kept = await keptBy(page);
    assert.ok(kept.includes(connection.bucket), 'the connection is remembered');
    assert.ok(!kept.includes(KEYS.secretAccessKey) && !kept.includes(KEYS.accessKeyId), kept);
    const shown = await page.content();
    assert.ok(!shown.includes(KEYS.secretAccessKey) && !shown.includes('X-Amz-Signature'), 'no secret is in the document');

    // Another day: the keys are gone, the connection is not.
    await page.goto(`${origin}/#/connect`);
    await page.reload();
    await at(page, 'remembered').first().click();
    assert.equal(await at(page, 'connect-bucket').inputValue(), connection.bucket);
    assert.equal(await at(page, 'connect-access-key').inputValue(), '');
    await pictures('connect remembered', page);
    await at(page, 'forget').first().click();
    await until(() => keptBy(page), (found) => !found.includes(front.endpoint));
  },

  'wrong keys are said to be wrong': async ({ lists, siteOf, visit, pictures }) => {
    const { connection } = await lists();
    const { origin } = await siteOf();
    const page = await visit(origin);
    await fillConnection(page, { ...connection, keys: { accessKeyId: 'AKNOBODY', secretAccessKey: 'nothing' } });
    await page.locator('[data-testid="failure"][data-code="Credentials"]').waitFor();
    await pictures('connect refused', page);
    assert.ok(!(await page.content()).includes('X-Amz-Signature'));
  },

  'a bucket that refuses the page is told apart, with the rule to set': async ({ siteOf, visit, pictures }) => {
    const closed = await startS3({ origins: [], anonymousRead: true });
    try {
      const { origin } = await siteOf();
      const page = await visit(origin);
      await fillConnection(page, { endpoint: closed.endpoint, bucket: closed.options.bucket });
      const failure = page.locator('[data-testid="failure"][data-code="CrossOrigin"]');
      await failure.waitFor();
      const [rule] = JSON.parse(await failure.getByTestId('cors-rule').innerText());
      assert.deepEqual(rule.AllowedOrigins, [origin]);
      assert.ok(rule.ExposeHeaders.includes('ETag'));
      await pictures('connect cross origin', page);
    } finally {
      await closed.stop();
    }
  },

  'keyspaces, and one that has no keys': async ({ lists, visit, pictures }) => {
    const { url } = await lists();
    const page = await visit(`${url}#/k`);
    await shows(page, 'keyspaces-view');
    const names = await at(page, 'keyspaces').innerText();
    for (const name of ['empty', 'many', 'rooms']) assert.ok(names.includes(name), names);
    await pictures('keyspaces', page);
    await at(page, 'keyspaces').getByRole('link', { name: 'empty', exact: true }).click();
    await shows(page, 'keys-view', 'empty');
    await pictures('keys none', page);
  },

  'keys are found by prefix, and only what is seen is asked for': async ({ lists, visit, pictures }) => {
    const { url, front } = await lists();
    front.reset();
    const page = await visit(linkOf(url, ['many']));
    await shows(page, 'keys-view');
    assert.match(await textOf(page, 'key-count'), /^450 lists/);
    await until(() => page.locator('[data-testid="key"][data-state="ready"]:visible').count(), (count) => count >= 15);
    await pictures('keys', page);
    const listOf = ({ query }) => /\/lists\/([^/]+)\/log/.exec(query.get('prefix') ?? '')?.[1];
    const asked = () => new Set(front.requests.map(listOf).filter(Boolean)).size;
    assert.ok(asked() < 60, `${asked()} of 450 keys were asked for`);

    await at(page, 'key-search').fill('cellar-');
    await until(() => textOf(page, 'key-count'), (text) => text.startsWith('150 lists'));
    await until(() => page.locator('[data-testid="key"]:visible').first().innerText(), (text) => text.includes('cellar-'));
    await until(() => page.url(), (url_) => url_.includes('search=cellar-'));
    await at(page, 'key-search').fill('nothing-begins-so');
    await shows(page, 'keys-view', 'empty');
    await at(page, 'key-search').fill('cellar-0003');
    const row = page.locator('[data-testid="key"][data-key="cellar-0003"][data-state="ready"]:visible');
    await row.waitFor();
    assert.equal((await row.getByTestId('key-items').innerText()).trim(), '1');
    assert.equal((await row.getByTestId('key-size').innerText()).trim(), '14 B');
    await row.getByRole('link').click();
    await shows(page, 'list-view');
  },

  'what is no longer seen is not asked for': async ({ lists, visit }) => {
    const { url, front } = await lists();
    const page = await visit(linkOf(url, ['many']));
    await shows(page, 'keys-view');
    front.reset();
    // Nothing answers: what is asked for is what the page gives up when it is scrolled away.
    front.fault = ({ query, path }) => (query.get('prefix')?.includes('/log/') || path.includes('/log/') ? new Promise(() => undefined) : undefined);
    await at(page, 'keys').evaluate((grid) => (grid.scrollTop = 2_000));
    await until(() => front.requests.length, (count) => count > 0);
    await at(page, 'keys').evaluate((grid) => (grid.scrollTop = 9_000));
    await until(() => front.requests.filter(({ aborted }) => aborted).length, (count) => count > 0);
    front.reset();
  },
};
