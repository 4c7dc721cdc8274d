// How the package behaves: what it asks of a store, and what it does where a store, a network or a clock misbehaves.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { KEYSPACE, LISTS } from '../conformance/data.mjs';
import { launch, pageAt } from '../lib/browser.mjs';
import { fillList } from '../lib/fill.mjs';
import { startFront } from '../lib/front.mjs';
import { installed } from '../lib/package.mjs';
import { startS3 } from '../lib/s3.mjs';
import { startSite } from '../lib/site.mjs';

const FILES = ['requests', 'observer', 'browser', 'credentials', 'failures', 'damage', 'bombs', 'memory'];
const PAGE = `<!doctype html>
<meta charset="utf-8">
<title>klstore behaviour</title>
<link rel="icon" href="data:,">
<script type="importmap">{ "imports": { "klstore": "/node_modules/klstore/dist/browser.js" } }</script>
<script type="module">
  import { open } from 'klstore';
  window.open_ = open;
</script>
`;

export async function runPart({ tally, one }) {
  const s3 = await startS3();
  const front = await startFront(s3.endpoint);
  const app = await installed();
  await writeFile(join(app.folder, 'page.html'), PAGE);
  const closed = ({ searchParams }) => {
    const policy = `<meta http-equiv="Content-Security-Policy" content="${searchParams.get('policy')}">`;
    return { type: 'text/html; charset=utf-8', text: PAGE.replace('<title>', `${policy}\n<title>`) };
  };
  const site = await startSite(app.folder, { '/closed': closed });
  const browser = await launch();
  try {
    await s3.createKeyspace(KEYSPACE);
    for (const key of ['small appends', 'compacted', 'bulk', 'large']) await fillList(s3, key, LISTS[key]);
    const { open } = await import(pathToFileURL(join(app.folder, 'node_modules/klstore/dist/node.js')));
    const options = { ...s3.options, endpoint: front.endpoint };
    const only = process.env.KLSTORE_TEST_CASE;
    for (const file of one ? [one] : FILES) {
      console.log(`behaviour: ${file}`);
      const { cases } = await import(`./${file}.mjs`);
      for (const [name, run] of Object.entries(cases)) {
        if (only && !name.includes(only)) continue;
        front.reset();
        front.target = s3.endpoint;
        const closing = [];
        const opened = async (more) => {
          const store = await open({ ...options, ...more });
          closing.push(() => store.close());
          return store;
        };
        /** A page of the site's origin, with `open_` and `options` in it. */
        const newPage = async (prepare, path = '/page.html') => {
          const shown = await pageAt(browser, `${site.origin}${path}`, prepare);
          closing.push(shown.close);
          await shown.page.waitForFunction(() => 'open_' in window);
          return shown;
        };
        const t = { s3, front, options, open: opened, newPage, origin: site.origin, later: (undo) => closing.push(undo) };
        await tally.check(name, () => run(t));
        for (const undo of closing.reverse()) await undo();
      }
    }
  } finally {
    await browser.close();
    await site.stop();
    await front.stop();
    await s3.stop();
    await app.remove();
  }
}
