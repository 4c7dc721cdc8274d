// Prints a list, one line for each item:
//
//   node list.mjs KEYSPACE KEY                      the newest 20 items
//   node list.mjs KEYSPACE KEY --since 2013-06-01   all from then on
//   node list.mjs KEYSPACE KEY --follow             what is appended from now on, until Ctrl-C
//
// The store is in the environment: KLSTORE_BUCKET, AWS_REGION, KLSTORE_ENDPOINT (where it is not AWS), and the keys in
// AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN; without keys the bucket has to be public.

import { parseArgs } from 'node:util';

import { KlstoreError, open } from 'klstore';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { since: { type: 'string' }, follow: { type: 'boolean' } },
});
const [keyspace, key] = positionals;
if (key === undefined) {
  console.error('usage: node list.mjs KEYSPACE KEY [--since DATE | --follow]');
  process.exit(2);
}

const stop = new AbortController();
process.once('SIGINT', () => stop.abort());
try {
  const store = await open({
    bucket: process.env.KLSTORE_BUCKET,
    region: process.env.AWS_REGION,
    endpoint: process.env.KLSTORE_ENDPOINT,
    credentials: keysOfEnvironment(),
  });
  for await (const item of items(store)) console.log(`${item.offset}\t${item.date.toJSON()}\t${item.text()}`);
  store.close();
} catch (error) {
  if (!stop.signal.aborted) {
    // What the package says of itself is for people; of anything else one wants to see where it comes from.
    console.error(error instanceof KlstoreError ? `${error.code}: ${error.message}` : error);
    process.exitCode = 1;
  }
}

async function* items(store) {
  const { signal } = stop;
  if (values.follow) yield* store.follow(keyspace, key, { signal });
  else if (values.since) yield* store.items(keyspace, key, { startTimestamp: new Date(values.since), signal });
  else yield* (await store.readPage(keyspace, key, { order: 'backwards', maxItems: 20, signal })).items;
}

function keysOfEnvironment() {
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN } = process.env;
  if (!AWS_ACCESS_KEY_ID || !AWS_SECRET_ACCESS_KEY) return undefined;
  return { accessKeyId: AWS_ACCESS_KEY_ID, secretAccessKey: AWS_SECRET_ACCESS_KEY, sessionToken: AWS_SESSION_TOKEN };
}
