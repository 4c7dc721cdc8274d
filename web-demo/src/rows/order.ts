/** Which item stands in which row. */

import type { Order } from '../permalink/permalink';

/** The live items of a list. */
export interface Bounds {
  readonly first: bigint;
  readonly next: bigint;
}

/** Rows are counted in doubles; no list comes near. */
const MOST_ROWS = 2n ** 46n;

export function rowCount({ first, next }: Bounds): number {
  const items = next > first ? next - first : 0n;
  return Number(items < MOST_ROWS ? items : MOST_ROWS);
}

export function offsetOfRow(row: number, order: Order, { first, next }: Bounds): bigint {
  return order === 'forwards' ? first + BigInt(row) : next - 1n - BigInt(row);
}

export function rowOfOffset(offset: bigint, order: Order, bounds: Bounds): number {
  const { first, next } = bounds;
  const last = next - 1n;
  const live = offset < first ? first : offset > last ? last : offset;
  return Math.max(0, Number(order === 'forwards' ? live - first : last - live));
}

/** How many rows came in above what is seen when the bounds changed. */
export function rowsBefore(order: Order, before: Bounds, after: Bounds): number {
  return Number(order === 'forwards' ? before.first - after.first : after.next - before.next);
}
