// Debian's firefox-esr, headless, over WebDriver BiDi; nothing is downloaded.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import puppeteer from 'puppeteer-core';

import { PAGE } from './chromium.mjs';

export const name = 'firefox';

const executablePath = process.env.KLSTORE_FIREFOX ?? '/usr/bin/firefox-esr';

export async function runIn({ folder, origin, config }) {
  await writeFile(join(folder, 'conformance.html'), PAGE);
  const browser = await puppeteer.launch({ browser: 'firefox', executablePath, headless: true, protocolTimeout: 600_000 });
  try {
    const page = await browser.newPage();
    await page.goto(`${origin}/conformance.html`);
    await page.waitForFunction(() => 'run' in window);
    return await page.evaluate((given, only) => window.run(given, only), config, process.env.KLSTORE_TEST_CASE);
  } finally {
    await browser.close();
  }
}
