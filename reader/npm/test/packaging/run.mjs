// The packed package in the apps of this folder: each is installed and built as its user would, and reads a page from a
// store of another origin.

import assert from 'node:assert/strict';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { launch, pageAt } from '../lib/browser.mjs';
import { fillFlights, newest } from '../lib/flights.mjs';
import { startFront } from '../lib/front.mjs';
import { installed } from '../lib/package.mjs';
import { run, start } from '../lib/processes.mjs';
import { startS3 } from '../lib/s3.mjs';
import { startSite } from '../lib/site.mjs';
import { startWorker } from '../lib/workerd.mjs';
import { command as bun } from '../runtimes/bun.mjs';
import { command as deno } from '../runtimes/deno.mjs';

/** Quick ones are in script/test, the others in script/test-long. */
const APPS = {
  'node': { quick: true, run: commandApp(process.execPath, ['main.mjs']) },
  'workerd': { quick: true, run: workerApp },
  'script-tag': { quick: true, run: pageApp({ serve: '.' }) },
  'vite': { quick: true, run: pageApp({ serve: 'dist' }), development: viteServer },
  'deno': { run: commandApp(deno, ['run', '--allow-net', 'main.ts']) },
  'bun': { run: commandApp(bun, ['run', 'main.ts']) },
  'webpack': { run: pageApp({ serve: 'dist', page: 'index.html' }) },
  'rollup': { run: pageApp({ serve: 'dist', page: 'index.html' }) },
  'esbuild': { run: pageApp({ serve: 'dist', page: 'index.html' }) },
};

/** `one` names an app; those that are quick without it. */
export async function runPart({ tally, one }) {
  const names = one ? [one] : Object.keys(APPS).filter((name) => APPS[name].quick);
  const s3 = await startS3();
  const front = await startFront(s3.endpoint);
  const browser = await launch();
  try {
    await fillFlights(s3);
    const options = { ...s3.options, endpoint: front.endpoint };
    for (const name of names) {
      console.log(`packaging: ${name}`);
      const { run, development } = APPS[name];
      let app;
      await tally.check(`${name}: the package is installed`, async () => {
        app = await installed(new URL(name, import.meta.url).pathname);
      });
      if (!app) continue;
      const t = { folder: app.folder, options, front, browser };
      try {
        await tally.check(`${name}: reads a page`, () => read(t, run));
        if (development) await tally.check(`${name}: reads a page while it is developed`, () => read(t, development));
      } finally {
        await app.remove();
      }
    }
  } finally {
    await browser.close();
    await front.stop();
    await s3.stop();
  }
}

/** The right items, by two requests of the app and no preflight. */
async function read(t, app) {
  t.front.reset();
  assert.deepEqual(await app(t), newest(20));
  const methods = t.front.requests.map(({ method }) => method);
  assert.deepEqual(methods, ['GET', 'GET'], 'a LIST and a GET, and no OPTIONS');
}

function commandApp(command, args) {
  return async ({ folder, options }) => {
    const json = JSON.stringify(options);
    const text = await run(command, command === deno ? [...args, json] : args, { cwd: folder, env: { OPTIONS: json } });
    return text.trim().split('\n');
  };
}

async function workerApp({ folder, options }) {
  const worker = await startWorker(folder, 'worker.mjs', { OPTIONS: JSON.stringify(options) });
  try {
    return (await (await fetch(worker.url)).text()).split('\n');
  } finally {
    await worker.stop();
  }
}

/** Builds the app and serves what came out, with a policy that lets it do nothing but what it needs. */
function pageApp({ serve, page }) {
  return async (t) => {
    const { folder, options, front } = t;
    await run('npm', ['run', 'build'], { cwd: folder });
    if (page) await copyFile(join(folder, page), join(folder, serve, page));
    const policy = `default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self' ${front.endpoint}; img-src data:`;
    const route = { '/options.json': () => ({ type: 'application/json', text: JSON.stringify(options) }) };
    const site = await startSite(join(folder, serve), route, { 'content-security-policy': policy });
    try {
      const shown = await itemsShown(t, site.origin);
      assert.ok(front.requests.every(({ headers }) => headers.origin === site.origin), "requests are of the page's origin");
      return shown;
    } finally {
      await site.stop();
    }
  };
}

async function viteServer(t) {
  const vite = join(t.folder, 'node_modules/vite/bin/vite.js');
  await mkdir(join(t.folder, 'public'), { recursive: true });
  await writeFile(join(t.folder, 'public/options.json'), JSON.stringify(t.options));
  const server = await start(process.execPath, [vite, '--host', '127.0.0.1', '--port', '0'], {
    cwd: t.folder,
    env: { NO_COLOR: '1' },
    isReady: (said) => /http:\/\/127\.0\.0\.1:\d+/.exec(said)?.[0],
  });
  try {
    return await itemsShown(t, server.ready);
  } finally {
    await server.stop();
  }
}

async function itemsShown({ browser }, url) {
  const { page, errors, close } = await pageAt(browser, url);
  try {
    await page.waitForFunction(() => document.querySelectorAll('#items li').length === 20, undefined, { timeout: 20_000 })
      .catch((error) => errors.push(String(error)));
    assert.deepEqual(errors, []);
    return await page.locator('#items li').allTextContents();
  } finally {
    await close();
  }
}
