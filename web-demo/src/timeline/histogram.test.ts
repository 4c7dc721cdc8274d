import { describe, expect, it } from 'vitest';

import { barsOf, extentOf, isSorted, spanOfTime, timeOfOffset } from './histogram';

const span = (firstOffset: number, itemCount: number, min: number, max: number) => ({
  firstOffset: BigInt(firstOffset),
  itemCount: BigInt(itemCount),
  valueBytes: 0n,
  minTimestamp: BigInt(min),
  maxTimestamp: BigInt(max),
  parts: 1,
});

describe('bars', () => {
  const spans = [span(0, 100, 0, 1_000), span(100, 50, 500, 500), span(150, 10, 900, 1_000)];

  it('hold every item once', () => {
    const bars = barsOf(spans, extentOf(spans)!, 7);
    expect(bars.items.reduce((sum, items) => sum + items, 0)).toBeCloseTo(160, 6);
  });

  it('spread a span evenly, and hold a moment in one bar', () => {
    const bars = barsOf(spans, { from: 0, to: 1_000 }, 10);
    expect(bars.items[0]).toBeCloseTo(10);
    expect(bars.items[5]).toBeCloseTo(60);
    expect(bars.width).toBe(100);
  });

  it('of a part of the time hold that part', () => {
    const bars = barsOf(spans, { from: 0, to: 500 }, 5);
    expect(bars.items[0]).toBeCloseTo(10);
  });

  it('have a width for one moment alone', () => {
    expect(extentOf([span(0, 1, 5, 5)])).toEqual({ from: -495, to: 505 });
    expect(extentOf([])).toBeUndefined();
  });
});

it('an offset lies in the time of its span', () => {
  const spans = [span(10, 100, 0, 1_000), span(110, 100, 2_000, 3_000)];
  expect(timeOfOffset(60n, spans)).toBe(500);
  expect(timeOfOffset(110n, spans)).toBe(2_000);
  expect(timeOfOffset(5n, spans)).toBeUndefined();
  expect(timeOfOffset(999n, spans)).toBeUndefined();
});

it('of spans that overlap in time the earliest dense one is found', () => {
  const spans = [span(0, 100, 0, 10_000), span(100, 50, 4_000, 5_000), span(150, 50, 2_000, 3_000)];
  expect(isSorted(spans)).toBe(false);
  expect(isSorted(spans.slice(0, 1))).toBe(true);
  expect(spanOfTime(spans, { from: 4_200, to: 4_400 })?.firstOffset).toBe(100n);
  expect(spanOfTime(spans, { from: 7_000, to: 8_000 })?.firstOffset).toBe(0n);
  expect(spanOfTime(spans, { from: 20_000, to: 30_000 })).toBeUndefined();
});
