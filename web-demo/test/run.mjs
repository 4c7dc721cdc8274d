// Tests of the built page in Chromium, over the embedded S3 server, through a front that misbehaves, and over versitygw.
//
//   node test/run.mjs             what script/test runs
//   node test/run.mjs PART...     some of them; `--long` runs the longer ones too
//
// KLSTORE_BIN is the native command, KLSTORE_GIANT the server of the giant list (both in target/debug where they are not
// set), KLSTORE_TEST_VERSITYGW the versitygw command, KLSTORE_WEB_PAGE the built page (web-demo/dist), KLSTORE_TEST_CASE
// a part of the names of the cases to run. Pictures of every state go to test/output. The last line counts:
// `N passed, N failed`.

import { Tally } from '../../reader/npm/test/lib/checks.mjs';
import { beginOutput } from './lib/pictures.mjs';
import { startStage } from './lib/stage.mjs';

const PARTS = ['demo', 'browse', 'list', 'timeline', 'giant', 'find', 'requests', 'links', 'hostile', 'faults', 'stores', 'access', 'budget'];

const isLong = process.argv.includes('--long');
const given = process.argv.slice(2).filter((each) => !each.startsWith('--'));
for (const each of given) {
  if (!PARTS.includes(each)) {
    console.error(`no part '${each}': the parts are ${PARTS.join(' ')}`);
    process.exit(2);
  }
}
const only = process.env.KLSTORE_TEST_CASE;
const tally = new Tally();
const output = await beginOutput();
const stage = await startStage({ isLong });
try {
  for (const part of given.length > 0 ? given : PARTS) {
    console.log(part);
    const { cases, longCases = {} } = await import(`./cases/${part}.mjs`);
    for (const [name, run] of Object.entries(isLong ? { ...cases, ...longCases } : cases)) {
      if (only && !name.includes(only)) continue;
      const visits = stage.visits();
      await tally.check(name, async () => {
        try {
          await run({ ...stage, ...visits });
        } catch (error) {
          await visits.picture(`failed ${name}`);
          throw error;
        }
        visits.check();
      });
      await visits.close();
    }
  }
} catch (error) {
  // A part that cannot even begin is a failure among others.
  tally.note('the tests themselves', 0, String(error?.stack ?? error));
} finally {
  await stage.stop();
}
console.log(`pictures: ${output}`);
if (tally.failed.length > 0) console.log(`failed:\n  ${tally.failed.join('\n  ')}`);
console.log(`${tally.passed} passed, ${tally.failed.length} failed`);
process.exit(tally.failed.length === 0 && tally.passed > 0 ? 0 : 1);
