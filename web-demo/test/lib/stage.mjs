// What the cases play on: the demo as it is served, lists of our own on the embedded S3 server with a front before it that
// can misbehave, and a browser. What only some cases need is started by the first of them.

import { start } from '../../../reader/npm/test/lib/processes.mjs';
import { startFront } from '../../../reader/npm/test/lib/front.mjs';
import { startS3 } from '../../../reader/npm/test/lib/s3.mjs';
import { startSite } from '../../../reader/npm/test/lib/site.mjs';
import { launch } from './browser.mjs';
import { fill } from './lists.mjs';
import { giantList, klstore, page } from './programs.mjs';
import { Visits } from './visit.mjs';

/** Flights that the demo loads here: a list of some hundred items, and some thousand lists. */
const ROWS = 30_000;

export async function startStage({ isLong }) {
  const undo = [];
  const once = (make) => {
    let made;
    return () => (made ??= make());
  };
  const browser = await launch();
  undo.push(() => browser.close());

  /** `klstore demo` with the page: `{ url, endpoint }`. */
  const demo = once(async () => {
    const args = ['demo', '--page', page, '--port', '0', '--rows', String(ROWS)];
    const url = (said) => /In a browser: (http:\S+)/.exec(said)?.[1] && said;
    const { ready, stop } = await start(klstore, args, { isReady: url, milliseconds: 300_000 });
    undo.push(stop);
    const found = (pattern) => pattern.exec(ready)[1];
    return {
      url: found(/In a browser: (http:\S+)/),
      endpoint: found(/KLSTORE_ENDPOINT=(\S+)/),
      busiest: found(/of (\w+), the busiest aircraft/),
      keys: Number(found(/rows of ([\d,]+) aircraft/).replaceAll(',', '')),
      stop,
    };
  });

  /** Lists of our own, read without keys through the front: `{ s3, front, url }`; `url` is a page that opens with them. */
  const lists = once(async () => {
    const s3 = await startS3({ anonymousRead: true });
    undo.push(() => s3.stop());
    await fill(s3);
    const front = await startFront(s3.endpoint);
    undo.push(() => front.stop());
    const connection = { endpoint: front.endpoint, bucket: s3.options.bucket, region: 'us-east-1', pathStyle: true };
    const site = await siteOf(connection);
    return { s3, front, site, url: `${site.origin}/`, connection };
  });

  /** The page over another connection, or none: another origin each time, so that nothing is remembered. */
  const siteOf = async (connection) => {
    const json = { type: 'application/json', text: JSON.stringify(connection) };
    const site = await startSite(page, connection ? { '/connection.json': () => json } : {});
    undo.push(() => site.stop());
    return site;
  };

  /** A hundred million items in one list: `{ endpoint, keyspace, key, items, url }`. */
  const giant = once(async () => {
    const { ready, stop } = await start(giantList, [], { isReady: (said) => /^\{.*\}$/m.exec(said)?.[0] });
    undo.push(stop);
    const found = JSON.parse(ready);
    const site = await siteOf({ ...found, region: 'us-east-1', pathStyle: true });
    return { ...found, url: `${site.origin}/` };
  });

  const visits = () => new Visits(browser);
  const stop = async () => {
    for (const each of undo.reverse()) await each();
  };
  return { browser, demo, lists, siteOf, giant, visits, stop, isLong };
}
