/** Whether an item has what is looked for. */

import type { Item } from 'klstore';

import { textOf } from '../item/content';

/** A larger value is looked at so far only. */
const MOST_BYTES = 2 ** 20;
const lenient = new TextDecoder();

export type Matcher = (item: Item) => boolean;

/** Looks for a text in the values, without regard to case where it has no capital letters. */
export function matcherOf(query: string): Matcher | undefined {
  const wanted = query.trim();
  if (wanted === '') return undefined;
  const isExact = /\p{Lu}/u.test(wanted);
  return ({ value }) => {
    const bytes = value.length > MOST_BYTES ? value.subarray(0, MOST_BYTES) : value;
    const text = textOf(bytes) ?? lenient.decode(bytes);
    return (isExact ? text : text.toLowerCase()).includes(wanted);
  };
}

/** Where a text stands in another, as pairs of begin and end; at most so many. */
export function marksIn(text: string, query: string, most = 8): readonly [number, number][] {
  const wanted = query.trim();
  if (wanted === '') return [];
  const isExact = /\p{Lu}/u.test(wanted);
  const lower = text.toLowerCase();
  // Where lower case has another length the places would not fit.
  const where = isExact || lower.length !== text.length ? text : lower;
  const marks: [number, number][] = [];
  let at = where.indexOf(wanted);
  while (at >= 0 && marks.length < most) {
    marks.push([at, at + wanted.length]);
    at = where.indexOf(wanted, at + wanted.length);
  }
  return marks;
}
