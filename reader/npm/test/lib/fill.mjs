// Writes what the conformance cases read.

import { EMPTY_KEYSPACE, KEYSPACE, LISTS, NAMES_KEYSPACE, ODD_NAMES } from '../conformance/data.mjs';

export async function fillForConformance(s3) {
  for (const keyspace of [KEYSPACE, NAMES_KEYSPACE, EMPTY_KEYSPACE]) await s3.createKeyspace(keyspace);
  for (const name of ODD_NAMES.filter((_, number) => number % 4 === 0)) await s3.createKeyspace(name);
  for (const [key, list] of Object.entries(LISTS)) await fillList(s3, key, list);
  const items = ODD_NAMES.map((key, number) => ({ key, timestamp: 0n, value: Buffer.from(`of ${number}`) }));
  await s3.append(NAMES_KEYSPACE, undefined, items);
}

export async function fillList(s3, key, { batches, compactedAfter, trimmedBefore, codec }) {
  for (const [number, batch] of batches.entries()) {
    if (number === compactedAfter) await s3.klstore(['compact', KEYSPACE, key]);
    await s3.append(KEYSPACE, key, batch, { codec });
  }
  if (trimmedBefore !== undefined) await s3.klstore(['trim', KEYSPACE, key, '--before-offset', String(trimmedBefore)]);
}
