// Debian's chromium, headless, driven by playwright-core; nothing is downloaded.

import { chromium } from 'playwright-core';

const executablePath = process.env.KLSTORE_CHROMIUM ?? '/usr/bin/chromium';
const args = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export function launch() {
  return chromium.launch({ executablePath, args });
}

/** A page of its own profile at `url`. What it logs as an error is in `errors`. */
export async function pageAt(browser, url, prepare) {
  const context = await browser.newContext();
  const page = await context.newPage();
  const errors = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text());
  });
  await prepare?.(page);
  await page.goto(url);
  return { page, errors, close: () => context.close() };
}
