/** Writes a range of a list into a file, within bounds. */

import type { Item, Store } from 'klstore';

import { begin, spent } from '../requests/log';
import { type CsvOptions, csvHead, csvLine, type Format, ndjsonLine } from './lines';

export const MOST_ITEMS = 1_000_000;
export const MOST_BYTES = 256 * 2 ** 20;
const PAGE_ITEMS = 4_000;
/** Lines are put together in pieces: a string for each would be many small blobs. */
const PIECE_CHARACTERS = 2 ** 20;
const SLICE = 12;

export interface Range {
  readonly keyspace: string;
  readonly key: string;
  /** Both included. */
  readonly first: bigint;
  readonly last: bigint;
}

export interface Progress {
  readonly items: number;
  readonly bytes: number;
}

export interface Exported extends Progress {
  readonly blob: Blob;
  /** The last item that is in it; `undefined` where none is. */
  readonly last: bigint | undefined;
  /** Why it ends before the range does. */
  readonly cut: 'items' | 'bytes' | undefined;
}

export async function exportRange(
  store: Store,
  { keyspace, key, first, last }: Range,
  format: Format,
  csv: CsvOptions,
  signal: AbortSignal,
  onProgress: (progress: Progress) => void,
): Promise<Exported> {
  const label = begin(`Export ${format.toUpperCase()}`);
  const parts: Blob[] = [];
  let piece = format === 'csv' ? csvHead(csv) : '';
  let [items, bytes] = [0, 0];
  let lastOffset: bigint | undefined;
  let cut: Exported['cut'];
  const type = format === 'csv' ? 'text/csv;charset=utf-8' : 'application/x-ndjson';
  const write = () => {
    const part = new Blob([piece], { type });
    bytes += part.size;
    parts.push(part);
    piece = '';
  };
  const lineOf = (item: Item) => (format === 'csv' ? csvLine(item, csv) : ndjsonLine(item));
  const options = {
    startOffset: first,
    pageSize: PAGE_ITEMS,
    maxItems: Number(bounded(last - first + 1n)),
    signal,
    label,
  };
  reading: for await (const page of store.pages(keyspace, key, options)) {
    spent(label, page.stats);
    let until = performance.now() + SLICE;
    for (const item of page.items) {
      if (item.offset > last) break reading;
      piece += lineOf(item);
      items += 1;
      lastOffset = item.offset;
      if (piece.length >= PIECE_CHARACTERS) write();
      if (bytes >= MOST_BYTES) {
        cut = 'bytes';
        break reading;
      }
      if (performance.now() < until) continue;
      onProgress({ items, bytes: bytes + piece.length });
      await new Promise((resolve) => setTimeout(resolve));
      signal.throwIfAborted();
      until = performance.now() + SLICE;
    }
    onProgress({ items, bytes: bytes + piece.length });
  }
  write();
  if (!cut && items >= MOST_ITEMS && lastOffset !== undefined && lastOffset < last) cut = 'items';
  return { blob: new Blob(parts, { type }), items, bytes, last: lastOffset, cut };
}

function bounded(count: bigint): bigint {
  return count < BigInt(MOST_ITEMS) ? count : BigInt(MOST_ITEMS);
}
