/** Items for tests. */

import type { Item } from 'klstore';

export function itemOf(offset: number | bigint, value: string | Uint8Array, more: Partial<Item> = {}): Item {
  const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value;
  const timestamp = more.timestamp ?? 1_357_034_400_000n;
  return {
    offset: BigInt(offset),
    timestamp,
    nonce: null,
    value: bytes,
    date: new Date(Number(timestamp)),
    text: () => new TextDecoder().decode(bytes),
    json: <T>() => JSON.parse(new TextDecoder().decode(bytes)) as T,
    ...more,
  };
}
