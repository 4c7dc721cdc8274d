import { expect, it } from 'vitest';

import { offsetOfRow, rowCount, rowOfOffset, rowsBefore } from './order';

const bounds = { first: 10n, next: 100_000_010n };

it('rows and offsets lead to each other in both orders', () => {
  for (const order of ['forwards', 'backwards'] as const) {
    for (const row of [0, 1, 12_345_678, 99_999_999]) {
      expect(rowOfOffset(offsetOfRow(row, order, bounds), order, bounds)).toBe(row);
    }
  }
  expect(offsetOfRow(0, 'forwards', bounds)).toBe(10n);
  expect(offsetOfRow(0, 'backwards', bounds)).toBe(100_000_009n);
  expect(rowCount(bounds)).toBe(100_000_000);
});

it('offsets outside are those at the ends', () => {
  expect(rowOfOffset(0n, 'forwards', bounds)).toBe(0);
  expect(rowOfOffset(2n ** 63n, 'forwards', bounds)).toBe(99_999_999);
  expect(rowOfOffset(2n ** 63n, 'backwards', bounds)).toBe(0);
});

it('an append comes before what is seen backwards, a trim takes from before it forwards', () => {
  const appended = { ...bounds, next: bounds.next + 7n };
  expect(rowsBefore('backwards', bounds, appended)).toBe(7);
  expect(rowsBefore('forwards', bounds, appended)).toBe(0);
  const trimmed = { ...bounds, first: 15n };
  expect(rowsBefore('forwards', bounds, trimmed)).toBe(-5);
  expect(rowsBefore('backwards', bounds, trimmed)).toBe(0);
});
