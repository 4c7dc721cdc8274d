// The examples of ../examples, each installed and run as its user would, against a store of another origin.

import { launch } from '../lib/browser.mjs';
import { fillFlights } from '../lib/flights.mjs';
import { startFront } from '../lib/front.mjs';
import { installed } from '../lib/package.mjs';
import { startS3 } from '../lib/s3.mjs';

const EXAMPLES = ['node', 'html', 'react', 'worker', 'service-worker'];

export async function runPart({ tally, one }) {
  // A public bucket: what has keys uses them all the same.
  const s3 = await startS3({ anonymousRead: true });
  const front = await startFront(s3.endpoint);
  const browser = await launch();
  try {
    await fillFlights(s3);
    for (const name of one ? [one] : EXAMPLES) {
      console.log(`examples: ${name}`);
      const { cases } = await import(`./${name}.mjs`);
      let app;
      await tally.check(`${name}: it is installed`, async () => {
        app = await installed(new URL(`../../examples/${name}`, import.meta.url).pathname);
      });
      if (!app) continue;
      for (const [what, check] of Object.entries(cases)) {
        front.reset();
        const closing = [];
        const t = { s3, front, browser, folder: app.folder, later: (undo) => closing.push(undo) };
        await tally.check(`${name}: ${what}`, async () => {
          try {
            await check(t);
          } finally {
            for (const undo of closing.reverse()) await undo();
          }
        });
      }
      await app.remove();
    }
  } finally {
    await browser.close();
    await front.stop();
    await s3.stop();
  }
}
