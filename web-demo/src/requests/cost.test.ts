import { expect, it } from 'vitest';

import { costOf, formatDollars } from './cost';

it('requests cost what S3 charges', () => {
  expect(costOf({ lists: 1_000, gets: 0, bytes: 0 })).toBeCloseTo(0.005);
  expect(costOf({ lists: 0, gets: 1_000, bytes: 0 })).toBeCloseTo(0.0004);
  expect(costOf({ lists: 0, gets: 0, bytes: 1e9 })).toBeCloseTo(0.09);
});

it('dollars have two digits that count', () => {
  expect([0, 0.0000054, 0.00123, 1.234].map(formatDollars)).toEqual(['$0', '$0.0000054', '$0.0012', '$1.23']);
});
