/**
 * Whether the browser's own cache answered. A page is told so of another origin only where that sends
 * `Timing-Allow-Origin`, which S3 does not; then it stays open, and nothing is guessed.
 */

import { signal } from '@preact/signals';
import type { RequestRecord } from 'klstore';

export type Cached = 'yes' | 'no' | 'maybe';

interface Seen {
  /** Of the URL: its query may hold a signature, and is not kept. */
  readonly path: string;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly wasCached: boolean;
}

const MOST_SEEN = 400;
/** The two clocks are read one after the other, before and after a request waits for its turn. */
const APART = 250;

let seen: readonly Seen[] = [];
/** Counts up when more is known. */
export const seenVersion = signal(0);

export function watchCache(): void {
  if (!PerformanceObserver.supportedEntryTypes.includes('resource')) return;
  new PerformanceObserver((list) => {
    const found = list.getEntries().flatMap((entry) => seenOf(entry as PerformanceResourceTiming));
    if (found.length === 0) return;
    seen = [...seen, ...found].slice(-MOST_SEEN);
    seenVersion.value += 1;
  }).observe({ type: 'resource' });
}

function seenOf({ name, startTime, transferSize, encodedBodySize }: PerformanceResourceTiming): Seen[] {
  // Both are 0 where the store does not allow to know.
  if (transferSize === 0 && encodedBodySize === 0) return [];
  try {
    const path = decodeURIComponent(new URL(name).pathname);
    return [{ path, startedAt: performance.timeOrigin + startTime, wasCached: transferSize === 0 }];
  } catch {
    return [];
  }
}

export function cachedOf(request: RequestRecord): Cached {
  return decide(request, seen);
}

export function decide({ kind, reload, name, startedAt }: RequestRecord, among: readonly Seen[]): Cached {
  if (kind === 'LIST' || reload) return 'no';
  const own = among
    .filter(({ path }) => path.endsWith(`/${name}`))
    .map((entry) => ({ ...entry, apart: Math.abs(entry.startedAt - startedAt) }))
    .filter(({ apart }) => apart < APART)
    .sort((one, other) => one.apart - other.apart)[0];
  return own ? (own.wasCached ? 'yes' : 'no') : 'maybe';
}
