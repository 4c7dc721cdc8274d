// The conformance cases in each runtime.

import { cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import { Tally } from '../lib/checks.mjs';
import { fillForConformance } from '../lib/fill.mjs';
import { startFront } from '../lib/front.mjs';
import { installed } from '../lib/package.mjs';
import { startS3 } from '../lib/s3.mjs';
import { startSite } from '../lib/site.mjs';
import { KEYSPACE, liveItems } from './data.mjs';

/** And `firefox`, which takes long. */
const RUNTIMES = ['node', 'chromium', 'workerd', 'deno', 'bun'];

export async function runPart({ tally, one }) {
  const names = one ? [one] : RUNTIMES;
  const s3 = await startS3();
  const front = await startFront(s3.endpoint);
  const app = await installed();
  await mkdir(join(app.folder, 'conformance'));
  for (const name of ['suite.mjs', 'cases.mjs', 'check.mjs', 'data.mjs', 'model.mjs']) {
    await cp(new URL(name, import.meta.url), join(app.folder, 'conformance', name));
  }
  const append = async ({ searchParams }) => {
    const [key, first, count] = ['key', 'first', 'count'].map((name) => searchParams.get(name));
    await s3.append(KEYSPACE, key, liveItems(Number(first), Number(count)));
    return 'appended';
  };
  const site = await startSite(app.folder, { '/append': append });
  try {
    await fillForConformance(s3);
    const lines = [];
    for (const name of names) {
      console.log(`conformance in ${name}`);
      const { runIn } = await import(`../runtimes/${name}.mjs`);
      front.reset();
      const own = new Tally();
      const config = { runtime: name, control: site.origin, options: { ...s3.options, endpoint: front.endpoint } };
      try {
        own.noteAll(name, await runIn({ folder: app.folder, origin: site.origin, config }));
      } catch (error) {
        own.note(name, 0, String(error?.stack ?? error));
      }
      await own.check(`${name}: no preflight was sent`, () => {
        const [options, all] = [front.count('OPTIONS'), front.requests.length];
        if (options !== 0 || all === 0) throw new Error(`${options} OPTIONS among ${all} requests`);
      });
      lines.push(own.line(name));
      tally.passed += own.passed;
      tally.failed.push(...own.failed);
    }
    for (const line of lines) console.log(line);
  } finally {
    await site.stop();
    await front.stop();
    await s3.stop();
    await app.remove();
  }
}
