import { expect, it } from 'vitest';

import { itemOf } from '../item/testing';
import { CHUNK_ITEMS, Chunks } from './chunks';

const range = (first: number, end: number) =>
  Array.from({ length: end - first }, (_, at) => itemOf(first + at, `value ${first + at}`));

it('says what is missing of the live part of a chunk', () => {
  const chunks = new Chunks({ chunks: 10, bytes: 1e6 });
  expect(chunks.missing(0n, 5n, 100n)).toEqual({ offset: 5n, count: 95 });
  chunks.put(range(5, 50));
  expect(chunks.missing(0n, 5n, 100n)).toEqual({ offset: 50n, count: 50 });
  chunks.put(range(50, 100));
  expect(chunks.missing(0n, 5n, 100n)).toBeUndefined();
  // The list grew.
  expect(chunks.missing(0n, 5n, 101n)).toEqual({ offset: 100n, count: 1 });
  expect(chunks.missing(1n, 5n, 101n)).toBeUndefined();
  expect(chunks.item(77n)?.text()).toBe('value 77');
});

it('gives up the chunks that were not seen for the longest time', () => {
  const chunks = new Chunks({ chunks: 2, bytes: 1e6 });
  chunks.put(range(0, CHUNK_ITEMS));
  chunks.put(range(CHUNK_ITEMS, 2 * CHUNK_ITEMS));
  chunks.touch(0n);
  chunks.put(range(2 * CHUNK_ITEMS, 3 * CHUNK_ITEMS));
  expect(chunks.item(0n)).toBeDefined();
  expect(chunks.item(BigInt(CHUNK_ITEMS))).toBeUndefined();
  expect([...chunks.loaded()].length).toBe(2 * CHUNK_ITEMS);
});

it('keeps within its bytes, but always the last chunk', () => {
  const chunks = new Chunks({ chunks: 100, bytes: 100 });
  chunks.put([itemOf(0, 'x'.repeat(80))]);
  chunks.put([itemOf(1_000, 'x'.repeat(300))]);
  expect(chunks.item(0n)).toBeUndefined();
  expect(chunks.item(1_000n)).toBeDefined();
  expect(chunks.bytes).toBe(300);
});
