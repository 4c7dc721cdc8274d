// Tests of the packed package: starts the embedded S3 server, fills it natively, and reads it from everywhere.
//
//   node test/run.mjs                 what script/test runs
//   node test/run.mjs --long          what script/test-long adds
//   node test/run.mjs PART...         some of the parts; `conformance:node` is one runtime, `packaging:vite` one app
//
// KLSTORE_BIN is the native command (target/debug/klstore where it is not set), KLSTORE_NPM_TARBALL the package (what
// script/npm-pack leaves), KLSTORE_TEST_CASE a part of the names of the cases to run. The last line counts:
// `N passed, N failed`.

import { Tally } from './lib/checks.mjs';

const PARTS = {
  conformance: () => import('./conformance/run.mjs'),
  behaviour: () => import('./behaviour/run.mjs'),
  packaging: () => import('./packaging/run.mjs'),
  examples: () => import('./examples/run.mjs'),
  readme: () => import('./readme/run.mjs'),
  contents: () => import('./contents/run.mjs'),
};

/** Takes minutes: Firefox, further bundlers. */
const LONG = ['conformance:firefox', 'packaging:deno', 'packaging:bun', 'packaging:webpack', 'packaging:rollup', 'packaging:esbuild'];

const given = process.argv.slice(2);
const isLong = given[0] === '--long';
const chosen = isLong ? LONG : given.length > 0 ? given : Object.keys(PARTS);
const tally = new Tally();
for (const each of chosen) {
  const [part, one] = each.split(':');
  if (!(part in PARTS)) {
    console.error(`no part '${each}': the parts are ${Object.keys(PARTS).join(' ')}`);
    process.exit(2);
  }
  const { runPart } = await PARTS[part]();
  // A part that cannot even begin is a failure among others.
  try {
    await runPart({ tally, one });
  } catch (error) {
    tally.note(part, 0, String(error?.stack ?? error));
  }
}
if (tally.failed.length > 0) console.log(`failed:\n  ${tally.failed.join('\n  ')}`);
console.log(`${tally.passed} passed, ${tally.failed.length} failed`);
process.exit(tally.failed.length === 0 && tally.passed > 0 ? 0 : 1);
