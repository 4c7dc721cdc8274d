// Visits to the page, each in a profile of its own; what no visit may do is checked at the end of every case: errors that
// nobody caught, breaches of the policy, preflights, requests to places that nobody named.

import assert from 'node:assert/strict';

import { pictureFile } from './pictures.mjs';

export const DESKTOP = { width: 1280, height: 800 };
export const PHONE = { width: 390, height: 844 };

export class Visits {
  #browser;
  #open = [];

  constructor(browser) {
    this.#browser = browser;
  }

  /** Opens the page at `url`. Answers Playwright's page with `seen` on it. */
  visit = async (url, { viewport = DESKTOP, theme = 'light', storage, prepare, ...more } = {}) => {
    const context = await this.#browser.newContext({
      viewport,
      colorScheme: theme,
      locale: 'en-GB',
      timezoneId: 'America/New_York',
      acceptDownloads: true,
      ...(viewport === PHONE && { hasTouch: true, isMobile: true, deviceScaleFactor: 2 }),
      ...(storage && { storageState: storage }),
      ...more,
    });
    context.setDefaultTimeout(15_000);
    const page = await context.newPage();
    const seen = { url, errors: [], breaches: [], requests: [], dialogs: [] };
    page.seen = seen;
    page.on('pageerror', (error) => seen.errors.push(String(error?.stack ?? error)));
    page.on('request', (request) => seen.requests.push({ method: request.method(), url: request.url() }));
    page.on('dialog', (dialog) => {
      seen.dialogs.push(dialog.message());
      dialog.dismiss();
    });
    page.on('console', (message) => {
      // Chromium itself tells of requests that fail: those are the case's own business.
      const isOfRequest = /^Failed to load resource|blocked by CORS policy/.test(message.text());
      if (message.type() === 'error' && !isOfRequest) seen.errors.push(message.text());
    });
    await page.exposeBinding('noteBreach', (_, breach) => seen.breaches.push(breach));
    await page.addInitScript(watch);
    await prepare?.(page, context);
    this.#open.push({ page, context });
    await page.goto(url);
    return page;
  };

  /** Pictures of what is open: `name`, with a number where there are several. */
  picture = async (name, page) => {
    const pages = page ? [page] : this.#open.map((each) => each.page);
    for (const [number, each] of pages.entries()) {
      await each.screenshot({ path: pictureFile(number === 0 ? name : `${name} ${number}`) }).catch(() => undefined);
    }
  };

  /** The same state in light, dark, and on a phone. */
  pictures = async (name, page) => {
    await page.emulateMedia({ colorScheme: 'light' });
    await this.picture(`${name} light`, page);
    await page.emulateMedia({ colorScheme: 'dark' });
    await this.picture(`${name} dark`, page);
    await page.emulateMedia({ colorScheme: 'light' });
    const before = page.viewportSize();
    await page.setViewportSize(PHONE);
    await this.picture(`${name} phone`, page);
    await page.setViewportSize(before);
  };

  check() {
    for (const { page } of this.#open) {
      const { errors, breaches, requests, dialogs } = page.seen;
      assert.deepEqual(errors, [], 'errors that nobody caught');
      assert.deepEqual(breaches, [], 'breaches of the content security policy');
      assert.deepEqual(dialogs, [], 'dialogs');
      const preflights = requests.filter(({ method }) => method === 'OPTIONS');
      assert.deepEqual(preflights, [], 'preflights');
    }
  }

  async close() {
    for (const { context } of this.#open) await context.close().catch(() => undefined);
    this.#open = [];
  }
}

/** Runs in the page before anything else. */
function watch() {
  window.watched = { longTasks: [], shift: 0, shifted: [] };
  document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) =>
    window.noteBreach(`${violatedDirective} ${blockedURI}`),
  );
  const observe = (type, note) => {
    try {
      new PerformanceObserver((list) => list.getEntries().forEach(note)).observe({ type, buffered: true });
    } catch {
      // Not in this browser.
    }
  };
  observe('longtask', ({ startTime, duration }) => window.watched.longTasks.push({ startTime, duration }));
  observe('layout-shift', ({ value, hadRecentInput, sources }) => {
    if (hadRecentInput) return;
    window.watched.shift += value;
    window.watched.shifted.push(...sources.map(({ node }) => node?.className || node?.parentElement?.className || 'gone'));
  });
}
