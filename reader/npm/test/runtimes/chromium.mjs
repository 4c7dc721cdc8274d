import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { launch, pageAt } from '../lib/browser.mjs';

export const name = 'chromium';

/** A page as it would be without a bundler: an import map, and modules. */
export const PAGE = `<!doctype html>
<meta charset="utf-8">
<title>klstore conformance</title>
<script type="importmap">{ "imports": { "klstore": "/node_modules/klstore/dist/browser.js" } }</script>
<script type="module">
  import { open } from 'klstore';
  import { runCases } from './conformance/suite.mjs';
  window.run = (config, only) => runCases(open, config, only);
</script>
`;

export async function runIn({ folder, origin, config }) {
  await writeFile(join(folder, 'conformance.html'), PAGE);
  const browser = await launch();
  try {
    const { page } = await pageAt(browser, `${origin}/conformance.html`);
    await page.waitForFunction(() => 'run' in window);
    return await page.evaluate(([given, only]) => window.run(given, only), [config, process.env.KLSTORE_TEST_CASE]);
  } finally {
    await browser.close();
  }
}
