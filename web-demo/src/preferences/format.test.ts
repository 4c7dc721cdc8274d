import { describe, expect, it } from 'vitest';

import { formatAge, formatBytes, formatDuration, formatTime, parseMoment } from './format';

describe('format', () => {
  it('sizes', () => {
    expect([0, 1_023, 1_024, 15_000, 1_048_570, 2 ** 40].map(formatBytes)).toEqual([
      '0 B',
      '1023 B',
      '1.00 KiB',
      '14.6 KiB',
      '1.00 MiB',
      '1.00 TiB',
    ]);
  });

  it('times, and numbers that are none', () => {
    expect(formatTime(1_357_034_400_123n, 'utc')).toBe('2013-01-01 10:00:00.123');
    expect(formatTime(2n ** 63n - 1n, 'utc')).toBe('9223372036854775807 ms');
  });

  it('durations and ages', () => {
    expect([0.26, 42.4, 1_500].map(formatDuration)).toEqual(['0.3 ms', '42 ms', '1.50 s']);
    const now = 1_000_000_000_000;
    expect(
      [0, 5_000, 3 * 3_600_000, 40 * 86_400_000, 3 * 365.25 * 86_400_000].map((age) =>
        formatAge(BigInt(now - age), now),
      ),
    ).toEqual(['now', '5 s', '3 h', '40 d', '3.0 y']);
  });

  it('moments as they are typed', () => {
    const at = 1_357_034_400_000n;
    for (const typed of [
      '1357034400000',
      '2013-01-01T10:00:00Z',
      '2013-01-01 10:00',
      '2013-01-01T11:00+01:00',
      ' 2013-01-01 10:00:00.000 ',
    ]) {
      expect(parseMoment(typed, 'utc')).toBe(at);
    }
    expect(parseMoment('2013-06', 'utc')).toBe(BigInt(Date.parse('2013-06-01T00:00:00Z')));
    for (const typed of ['', 'yesterday', '2013-13-01', '12:00']) expect(parseMoment(typed, 'utc')).toBeUndefined();
  });
});
