// The lists that the cases look into.

import { randomBytes } from 'node:crypto';

/** 2013-01-01 at midnight, UTC. */
export const FIRST = 1_356_998_400_000;
export const KEYSPACE = 'rooms';
/** Items of the list `kitchen`: one a minute. */
export const KITCHEN = 5_000;

const SCRIPT = '<img src=x onerror="window.hacked=1">';
/** As a name: keyspaces and keys are anybody's. */
export const HOSTILE_NAME = '"><svg onload=window.hacked=1>';
export const HOSTILE_VALUES = [
  SCRIPT,
  '<script>window.hacked=1</script>',
  JSON.stringify({ link: 'javascript:window.hacked=1', html: SCRIPT, [SCRIPT]: SCRIPT, __proto__: null, constructor: 'x' }),
  '{"__proto__":{"polluted":"yes"},"toString":1}',
  '['.repeat(100_000) + ']'.repeat(100_000),
  `{"a":${'{"a":'.repeat(5_000)}1${'}'.repeat(5_000)}}`,
  JSON.stringify(Array.from({ length: 50_000 }, (_, number) => number)),
  '\u202Egnp.exe\u0000\u001b[31m',
  `"${'x'.repeat(300_000)}"`,
];

export function kitchen(number) {
  const value = {
    room: 'kitchen',
    celsius: Math.round(180 + 40 * Math.sin(number / 60)) / 10,
    door: number % 97 === 0 ? 'open' : 'shut',
    sensor: { id: `s-${number % 7}`, battery: { percent: 100 - (number % 50), charging: false } },
    ...(number % 1_000 === 777 && { note: 'needle' }),
  };
  return { timestamp: FIRST + number * 60_000, nonce: 2 * number, value: JSON.stringify(value) };
}

export function kitchenItems(from, to) {
  return Array.from({ length: to - from }, (_, number) => kitchen(from + number));
}

export async function fill(s3) {
  for (const keyspace of [KEYSPACE, 'many', 'empty', HOSTILE_NAME]) await s3.createKeyspace(keyspace);
  for (let from = 0; from < KITCHEN; from += 1_000) await s3.append(KEYSPACE, 'kitchen', kitchenItems(from, from + 1_000));
  await s3.klstore(['compact', KEYSPACE, 'kitchen']);
  await s3.append(KEYSPACE, 'live', kitchenItems(0, 50));
  await s3.append(KEYSPACE, 'one', kitchenItems(0, 1));
  const bytes = Array.from({ length: 20 }, (_, number) => ({ timestamp: FIRST + number, value: randomBytes(64) }));
  await s3.append(KEYSPACE, 'bytes', bytes);
  const names = Array.from({ length: 450 }, (_, number) => `${number % 3 === 0 ? 'cellar' : 'attic'}-${String(number).padStart(4, '0')}`);
  await s3.append('many', undefined, names.map((key, number) => ({ key, timestamp: FIRST + number, value: `of ${key}` })));
  const hostile = HOSTILE_VALUES.map((value, number) => ({ timestamp: FIRST + number, value }));
  await s3.append(HOSTILE_NAME, HOSTILE_NAME, hostile);
}
