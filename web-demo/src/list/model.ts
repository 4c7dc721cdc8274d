/** One list as the page sees it: its bounds, the items in memory, what is under way and what went wrong. */

import { batch, signal } from '@preact/signals';
import { type Item, type KeyInfo, KlstoreError, type Store } from 'klstore';

import { begin, join, spent } from '../requests/log';
import { type Bounds, rowCount } from '../rows/order';
import { CHUNK_ITEMS, chunkOf, Chunks } from '../rows/chunks';
import type { ListState, Order } from '../permalink/permalink';

export type Status = 'loading' | 'ready' | 'empty' | 'missing' | 'error';

/** What a row can show: an item, that it is on its way, or why it cannot be read. */
export type RowState = Item | 'loading' | Error;

const BOUND = { chunks: 400, bytes: 64 * 2 ** 20 };
/** Loads begin so long after rows came into sight: rows that fly past are not loaded. */
const LOAD_DELAY = 45;
const MOST_LOADS = 4;
/** Neighbouring chunks come by one page: each page looks for the newest commit first. */
const MOST_CHUNKS = 4;
/** What failed for a reason that passes is tried again. */
const RETRY_DELAY = 4_000;

/** Some neighbouring chunks that are on their way. */
interface Load {
  readonly chunks: readonly bigint[];
  readonly abort: AbortController;
}

export class ListModel {
  readonly keyspace: string;
  readonly key: string;
  readonly status = signal<Status>('loading');
  readonly error = signal<unknown>(undefined);
  /** The items that rows stand for. */
  readonly shown = signal<Bounds>({ first: 0n, next: 0n });
  /** The end of the list as it is known: further than `shown` while new items wait. */
  readonly known = signal<Bounds>({ first: 0n, next: 0n });
  readonly info = signal<KeyInfo | null>(null);
  /** Above every nonce of the list, or of its first rows as long as more is not known; 0 where there are none. */
  readonly nextNonce = signal(0n);
  /** Whether the bounds are those of the list, and not of the first page alone. */
  readonly isSettled = signal(false);
  /** Counts up whenever rows may look different. */
  readonly version = signal(0);
  readonly loads = signal(0);
  /** Why rows that are seen cannot be read. */
  readonly failure = signal<unknown>(undefined);
  readonly notice = signal('');
  readonly chunks = new Chunks(BOUND);
  readonly #store: Store;
  readonly #closing = new AbortController();
  readonly #loading = new Set<Load>();
  readonly #failed = new Map<bigint, Error>();
  /** Chunks whose neighbours may be damaged. */
  readonly #alone = new Set<bigint>();
  #wanted: readonly bigint[] = [];
  #delay: ReturnType<typeof setTimeout> | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #refreshing: Promise<void> | undefined;
  /** Why it is not known where the list ends. */
  #unknownEnd: unknown;

  constructor(store: Store, keyspace: string, key: string) {
    this.#store = store;
    this.keyspace = keyspace;
    this.key = key;
  }

  get store(): Store {
    return this.#store;
  }

  get signal(): AbortSignal {
    return this.#closing.signal;
  }

  dispose(): void {
    clearTimeout(this.#delay);
    clearTimeout(this.#retry);
    this.#closing.abort();
    for (const { abort } of this.#loading) abort.abort();
  }

  /** Reads the first rows, and then how long the list is: rows come first. */
  async open({ at, order, item }: Pick<ListState, 'at' | 'order' | 'item'>): Promise<void> {
    const label = begin(`Open ${this.key}`);
    this.status.value = 'loading';
    this.error.value = undefined;
    const from = at ?? item;
    try {
      const start = from === null ? {} : { startOffset: chunkOf(from) * BigInt(CHUNK_ITEMS) };
      const reading = from === null ? order : 'forwards';
      const page = await this.#store.readPage(this.keyspace, this.key, {
        ...start,
        order: reading,
        maxItems: CHUNK_ITEMS,
        signal: this.signal,
        label,
      });
      spent(label, page.stats);
      this.chunks.put(page.items);
      if (from === null && page.items.length > 0) this.#showFirst(page.items, reading);
      await this.refresh(label);
    } catch (error) {
      if (this.signal.aborted) return;
      // Rows that are there stay; where the list ends is looked for again.
      if (this.status.peek() === 'ready') this.#lost(error);
      else {
        batch(() => {
          this.error.value = error;
          this.status.value = 'error';
        });
      }
    }
  }

  #lost(error: unknown): void {
    this.#unknownEnd = error;
    this.#showFailure();
    this.#retryLater(error);
  }

  /** Until the bounds are known, those of the first page. */
  #showFirst(items: readonly Item[], order: Order): void {
    const [begin, end] = [items[0]!.offset, items.at(-1)!.offset];
    const bounds = order === 'forwards' ? { first: begin, next: end + 1n } : { first: end, next: begin + 1n };
    const highest = items.reduce((most, { nonce }) => (nonce !== null && nonce >= most ? nonce + 1n : most), 0n);
    batch(() => {
      this.shown.value = bounds;
      this.known.value = bounds;
      this.nextNonce.value = highest;
      this.status.value = 'ready';
      this.version.value += 1;
    });
  }

  /** Looks where the list begins and ends now. */
  async refresh(label = join('Look for the end')): Promise<void> {
    this.#refreshing ??= this.#refresh(label).finally(() => (this.#refreshing = undefined));
    return this.#refreshing;
  }

  async #refresh(label: string): Promise<void> {
    const info = await this.#store.stat(this.keyspace, this.key, { signal: this.signal, label });
    // Rows end where the list was known to end, unless newer items wait to be shown.
    const isWaiting = this.isSettled.value && this.shown.value.next < this.known.value.next;
    batch(() => {
      this.info.value = info;
      if (info) this.nextNonce.value = info.nextNonce;
      this.isSettled.value = true;
      if (!info) {
        this.status.value = 'missing';
        return;
      }
      const { firstOffset, nextOffset } = info;
      this.#trimmed(firstOffset);
      this.grew(nextOffset);
      if (!isWaiting) this.showAll();
      this.status.value = rowCount(this.shown.value) === 0 ? 'empty' : 'ready';
    });
  }

  #trimmed(first: bigint): void {
    const before = this.known.value.first;
    const had = this.status.value === 'ready' && this.isSettled.value;
    this.known.value = { ...this.known.value, first };
    this.shown.value = { ...this.shown.value, first };
    if (had && first > before) this.notice.value = `Items before offset ${first} have been trimmed.`;
  }

  /** The list ends at least there. */
  grew(next: bigint): void {
    if (next > this.known.value.next) this.known.value = { ...this.known.value, next };
  }

  /** Rows for all that is known. */
  showAll(): void {
    const { first, next } = this.known.value;
    const { shown } = this;
    if (shown.value.first !== first || shown.value.next !== next) shown.value = { first, next };
    if (rowCount(shown.value) > 0 && this.status.value !== 'error') this.status.value = 'ready';
  }

  /** Items that came in. */
  received(items: readonly Item[]): void {
    const last = items.at(-1);
    if (!last) return;
    batch(() => {
      this.chunks.put(items);
      if (this.status.value === 'missing' || this.status.value === 'empty') {
        const { offset } = items[0]!;
        this.known.value = { first: offset, next: offset };
      }
      this.grew(last.offset + 1n);
      const { info } = this;
      if (info.value) info.value = withItems(info.value, items);
      this.version.value += 1;
    });
    // The first items of a list: what else is known of it now?
    if (!this.info.value) this.refresh().catch(() => undefined);
  }

  rowState(offset: bigint): RowState {
    return this.chunks.item(offset) ?? this.#failed.get(chunkOf(offset)) ?? 'loading';
  }

  /** These are seen: what of them is missing is loaded, what else is under way is given up. */
  want(first: bigint, last: bigint, towards: Order): void {
    const chunks: bigint[] = [];
    for (let chunk = chunkOf(first); chunk <= chunkOf(last); chunk++) {
      chunks.push(chunk);
      this.chunks.touch(chunk);
    }
    // One more in the direction of reading.
    const ahead = towards === 'forwards' ? chunks.at(-1)! + 1n : chunks[0]! - 1n;
    if (ahead >= 0n) chunks.push(ahead);
    this.#wanted = chunks;
    for (const load of this.#loading) {
      if (load.chunks.some((chunk) => chunks.includes(chunk))) continue;
      load.abort.abort();
      this.#loading.delete(load);
    }
    this.#showFailure();
    if (chunks.every((chunk) => this.#isIdle(chunk))) return;
    clearTimeout(this.#delay);
    this.#delay = setTimeout(() => this.#loadWanted(), LOAD_DELAY);
  }

  retry(): void {
    this.#failed.clear();
    if (this.#unknownEnd !== undefined) {
      this.#unknownEnd = undefined;
      this.refresh().catch((error: unknown) => !this.signal.aborted && this.#lost(error));
    }
    this.#showFailure();
    this.version.value += 1;
    this.#loadWanted();
  }

  /** Reads one item, wherever it is. */
  async read(offset: bigint, abort: AbortSignal, label: string): Promise<Item | undefined> {
    const there = this.chunks.item(offset);
    if (there) return there;
    const page = await this.#store.readPage(this.keyspace, this.key, {
      startOffset: offset,
      maxItems: 1,
      signal: abort,
      label,
    });
    spent(label, page.stats);
    return page.items.find((item) => item.offset === offset);
  }

  /** Whether there is nothing to do for a chunk. */
  #isIdle(chunk: bigint): boolean {
    const { first, next } = this.shown.value;
    if (this.#failed.has(chunk) || !this.chunks.missing(chunk, first, next)) return true;
    for (const load of this.#loading) if (load.chunks.includes(chunk)) return true;
    return false;
  }

  #loadWanted(): void {
    const needed = this.#wanted.filter((chunk) => !this.#isIdle(chunk)).sort((one, other) => (one < other ? -1 : 1));
    while (needed.length > 0 && this.#loading.size < MOST_LOADS) {
      const run = [needed.shift()!];
      const joins = (chunk: bigint | undefined) =>
        chunk === run.at(-1)! + 1n && run.length < MOST_CHUNKS && !this.#alone.has(chunk);
      while (!this.#alone.has(run[0]!) && joins(needed[0])) run.push(needed.shift()!);
      void this.#load(run);
    }
  }

  async #load(chunks: readonly bigint[]): Promise<void> {
    const load: Load = { chunks, abort: new AbortController() };
    const { signal: given } = load.abort;
    this.#loading.add(load);
    this.loads.value = this.#loading.size;
    const label = join('Scroll');
    try {
      for (;;) {
        const missing = this.#missingOf(chunks);
        if (missing === undefined) break;
        const { next } = this.shown.value;
        const after = (chunks.at(-1)! + 1n) * BigInt(CHUNK_ITEMS);
        const end = after < next ? after : next;
        const page = await this.#store.readPage(this.keyspace, this.key, {
          startOffset: missing,
          maxItems: Number(end - missing),
          signal: given,
          label,
        });
        spent(label, page.stats);
        this.chunks.put(page.items);
        this.version.value += 1;
        // Another item than the one asked for: the list has been trimmed meanwhile.
        if (page.items[0]?.offset !== missing) {
          await this.refresh();
          if (this.#missingOf(chunks) === missing)
            throw new Error(`the item at offset ${missing} is missing from the list`);
          break;
        }
      }
    } catch (error) {
      if (given.aborted || this.signal.aborted) return;
      if (chunks.length > 1 && !isPassing(error)) {
        // Only some of it may be damaged: each by itself, then.
        for (const chunk of chunks) this.#alone.add(chunk);
      } else {
        for (const chunk of chunks) this.#failed.set(chunk, error instanceof Error ? error : new Error(String(error)));
        this.#retryLater(error);
      }
    } finally {
      this.#loading.delete(load);
      this.loads.value = this.#loading.size;
      if (!this.signal.aborted) {
        this.version.value += 1;
        this.#showFailure();
        this.#loadWanted();
      }
    }
  }

  /** The first offset that is missing of some chunks. */
  #missingOf(chunks: readonly bigint[]): bigint | undefined {
    const { first, next } = this.shown.value;
    for (const chunk of chunks) {
      const missing = this.chunks.missing(chunk, first, next);
      if (missing) return missing.offset;
    }
    return undefined;
  }

  #retryLater(error: unknown): void {
    if (!isPassing(error)) return;
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.retry(), RETRY_DELAY);
  }

  #showFailure(): void {
    const chunk = this.#wanted.find((wanted) => this.#failed.has(wanted));
    this.failure.value = chunk === undefined ? this.#unknownEnd : this.#failed.get(chunk);
  }
}

function isPassing(error: unknown): boolean {
  return error instanceof KlstoreError && error.retryable;
}

function withItems(info: KeyInfo, items: readonly Item[]): KeyInfo {
  const fresh = items.filter(({ offset }) => offset >= info.nextOffset);
  const last = fresh.at(-1);
  if (!last) return info;
  let { minTimestamp, maxTimestamp, valueBytes } = info;
  for (const { timestamp, value } of fresh) {
    if (minTimestamp === null || timestamp < minTimestamp) minTimestamp = timestamp;
    if (maxTimestamp === null || timestamp > maxTimestamp) maxTimestamp = timestamp;
    valueBytes += BigInt(value.length);
  }
  const nextOffset = last.offset + 1n;
  return { ...info, minTimestamp, maxTimestamp, valueBytes, nextOffset, itemCount: nextOffset - info.firstOffset };
}
