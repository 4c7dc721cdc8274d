/** From the spans of an index to the bars of a chart. */

import type { TimelineSpan } from 'klstore';

import { formatTime, type Zone } from '../preferences/format';

export interface Bars {
  /** Begin of each bar, in milliseconds; all are as wide. */
  readonly starts: Float64Array;
  /** Items of each; a span's items are spread evenly over its time. */
  readonly items: Float64Array;
  readonly width: number;
}

export interface Window {
  readonly from: number;
  readonly to: number;
}

/** The time that all spans take; `undefined` where there are none. */
export function extentOf(spans: readonly TimelineSpan[]): Window | undefined {
  let [from, to] = [Infinity, -Infinity];
  for (const { minTimestamp, maxTimestamp } of spans) {
    from = Math.min(from, Number(minTimestamp));
    to = Math.max(to, Number(maxTimestamp));
  }
  if (from > to) return undefined;
  // One moment alone still has a width.
  return to > from ? { from, to } : { from: from - 500, to: to + 500 };
}

export function barsOf(spans: readonly TimelineSpan[], { from, to }: Window, count: number): Bars {
  const width = (to - from) / count;
  const starts = new Float64Array(count);
  const items = new Float64Array(count);
  for (let bar = 0; bar < count; bar++) starts[bar] = from + bar * width;
  for (const span of spans) {
    const [begin, end] = [Number(span.minTimestamp), Number(span.maxTimestamp)];
    const total = Number(span.itemCount);
    if (end < from || begin > to) continue;
    const firstBar = barAt(begin, from, width, count);
    const lastBar = barAt(end, from, width, count);
    if (firstBar === lastBar || end === begin) {
      const share = end === begin ? 1 : (Math.min(end, to) - Math.max(begin, from)) / (end - begin);
      items[firstBar]! += total * share;
      continue;
    }
    const density = total / (end - begin);
    for (let bar = firstBar; bar <= lastBar; bar++) {
      const left = Math.max(begin, from + bar * width);
      const right = Math.min(end, from + (bar + 1) * width);
      items[bar]! += Math.max(0, right - left) * density;
    }
  }
  return { starts, items, width };
}

function barAt(time: number, from: number, width: number, count: number): number {
  return Math.min(count - 1, Math.max(0, Math.floor((time - from) / width)));
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const DAY = 86_400_000;

/** What an axis writes at a time, where the next is a step further. */
export function tickText(time: number, step: number, zone: Zone): string {
  const written = formatTime(BigInt(Math.round(time)), zone);
  const [, year = '', month = '', day = '', clock = ''] = /^(\d+)-(\d\d)-(\d\d) (\S+)$/.exec(written) ?? [];
  const name = MONTHS[Number(month) - 1];
  if (!name) return '';
  if (step >= 360 * DAY) return year;
  if (step >= 28 * DAY) return month === '01' ? year : name;
  if (step >= DAY || clock.startsWith('00:00:00')) return `${name} ${Number(day)}`;
  if (step >= 60_000) return clock.slice(0, 5);
  return step >= 1_000 ? clock.slice(0, 8) : clock;
}

/** Whether each span begins no earlier than the one before it ends. Items need not be sorted by time. */
export function isSorted(spans: readonly TimelineSpan[]): boolean {
  return spans.every((span, at) => at === 0 || span.minTimestamp >= spans[at - 1]!.maxTimestamp);
}

/** Where to look for items of a time: the earliest of the dense spans that reach into it; `undefined` where none does. */
export function spanOfTime(spans: readonly TimelineSpan[], { from, to }: Window): TimelineSpan | undefined {
  const density = ({ itemCount, minTimestamp, maxTimestamp }: TimelineSpan) =>
    Number(itemCount) / (1 + Number(maxTimestamp - minTimestamp));
  const reaching = spans.filter(
    ({ minTimestamp, maxTimestamp }) => Number(maxTimestamp) >= from && Number(minTimestamp) <= to,
  );
  const most = reaching.reduce((highest, span) => Math.max(highest, density(span)), 0);
  return reaching
    .filter((span) => density(span) >= most / 2)
    .reduce<TimelineSpan | undefined>(
      (first, span) => (first && first.minTimestamp <= span.minTimestamp ? first : span),
      undefined,
    );
}

/** Where offsets lie in time, by the spans: a guess within a span, for marking a view. */
export function timeOfOffset(offset: bigint, spans: readonly TimelineSpan[]): number | undefined {
  let [low, high] = [0, spans.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const span = spans[middle]!;
    if (span.firstOffset + span.itemCount <= offset) low = middle + 1;
    else high = middle;
  }
  const span = spans[low];
  if (!span || offset < span.firstOffset) return undefined;
  const share = Number(offset - span.firstOffset) / Math.max(1, Number(span.itemCount));
  return Number(span.minTimestamp) + share * Number(span.maxTimestamp - span.minTimestamp);
}
