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
