/** Items in memory: aligned chunks of offsets, the least recently seen given up first. */

import type { Item } from 'klstore';

/** Items of a chunk. */
export const CHUNK_ITEMS = 128;
const SIZE = BigInt(CHUNK_ITEMS);

export interface Bound {
  readonly chunks: number;
  readonly bytes: number;
}

interface Chunk {
  readonly items: (Item | undefined)[];
  bytes: number;
}

export function chunkOf(offset: bigint): bigint {
  return offset / SIZE;
}

export class Chunks {
  /** In order of use, the most recent last. */
  readonly #chunks = new Map<bigint, Chunk>();
  readonly #bound: Bound;
  #bytes = 0;

  constructor(bound: Bound) {
    this.#bound = bound;
  }

  item(offset: bigint): Item | undefined {
    return this.#chunks.get(chunkOf(offset))?.items[Number(offset % SIZE)];
  }

  /** Marks a chunk as seen. */
  touch(chunk: bigint): void {
    const found = this.#chunks.get(chunk);
    if (!found) return;
    this.#chunks.delete(chunk);
    this.#chunks.set(chunk, found);
  }

  put(items: readonly Item[]): void {
    for (const item of items) {
      const number = chunkOf(item.offset);
      let chunk = this.#chunks.get(number);
      if (!chunk) this.#chunks.set(number, (chunk = { items: new Array<Item | undefined>(CHUNK_ITEMS), bytes: 0 }));
      const at = Number(item.offset % SIZE);
      if (chunk.items[at]) continue;
      chunk.items[at] = item;
      chunk.bytes += item.value.length;
      this.#bytes += item.value.length;
    }
    this.#trim();
  }

  /** The first item of a chunk that is missing from the live ones, and how many from there on; undefined where none is. */
  missing(chunk: bigint, first: bigint, next: bigint): { readonly offset: bigint; readonly count: number } | undefined {
    const begin = chunk * SIZE > first ? chunk * SIZE : first;
    const end = (chunk + 1n) * SIZE < next ? (chunk + 1n) * SIZE : next;
    const items = this.#chunks.get(chunk)?.items;
    for (let offset = begin; offset < end; offset++) {
      if (!items?.[Number(offset % SIZE)]) return { offset, count: Number(end - offset) };
    }
    return undefined;
  }

  /** All items that are in memory, in order of their offsets. */
  *loaded(): IterableIterator<Item> {
    const numbers = [...this.#chunks.keys()].sort((one, other) => (one < other ? -1 : 1));
    for (const number of numbers) {
      for (const item of this.#chunks.get(number)?.items ?? []) if (item) yield item;
    }
  }

  get bytes(): number {
    return this.#bytes;
  }

  clear(): void {
    this.#chunks.clear();
    this.#bytes = 0;
  }

  #trim(): void {
    for (const [number, { bytes }] of this.#chunks) {
      const fits = this.#chunks.size <= this.#bound.chunks && this.#bytes <= this.#bound.bytes;
      if (fits || this.#chunks.size === 1) return;
      this.#chunks.delete(number);
      this.#bytes -= bytes;
    }
  }
}
