import type { RequestRecord } from 'klstore';
import { expect, it } from 'vitest';

import { decide } from './cached';

const request: RequestRecord = {
  kind: 'GET',
  purpose: 'segment',
  name: 'f/lists/k/seg/0a',
  range: null,
  reload: false,
  attempt: 1,
  startedAt: 1_000_000,
  duration: 5,
  status: 206,
  bytes: 10,
  outcome: 'answered',
  error: null,
  label: 'a1',
};

it('says of a cache only what is known', () => {
  const seen = (startedAt: number, wasCached: boolean, path = '/demo/f/lists/k/seg/0a') => ({
    path,
    startedAt,
    wasCached,
  });
  expect(decide(request, [])).toBe('maybe');
  expect(decide(request, [seen(1_000_003, true)])).toBe('yes');
  expect(decide(request, [seen(1_000_003, false)])).toBe('no');
  expect(decide(request, [seen(1_000_003, true, '/demo/other'), seen(1_009_000, true)])).toBe('maybe');
  expect(decide(request, [seen(1_000_200, true), seen(1_000_001, false)])).toBe('no');
  expect(decide({ ...request, reload: true }, [seen(1_000_003, true)])).toBe('no');
});
