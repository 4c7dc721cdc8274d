import { expect, it } from 'vitest';

import { itemOf } from '../item/testing';
import { marksIn, matcherOf } from './matcher';

it('looks without regard to case, unless there is a capital letter', () => {
  const item = itemOf(0, '{"origin":"JFK"}');
  expect(matcherOf('jfk')?.(item)).toBe(true);
  expect(matcherOf('JFK')?.(item)).toBe(true);
  expect(matcherOf('Jfk')?.(item)).toBe(false);
  expect(matcherOf('  ')).toBeUndefined();
  expect(matcherOf('.*')?.(item)).toBe(false);
});

it('marks where it stands, a few times at most', () => {
  expect(marksIn('aXbxc', 'x')).toEqual([
    [1, 2],
    [3, 4],
  ]);
  expect(marksIn('x'.repeat(100), 'x')).toHaveLength(8);
  expect(marksIn('İx', 'x')).toEqual([[1, 2]]);
});
