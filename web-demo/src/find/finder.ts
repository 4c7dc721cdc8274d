/** Looking for a text: in what is in memory, or by reading on within a bound. */

import { batch, signal } from '@preact/signals';
import type { Item } from 'klstore';

import type { ListModel } from '../list/model';
import type { Order } from '../permalink/permalink';
import { begin, spent } from '../requests/log';
import { type Matcher, matcherOf } from './matcher';

export const MOST_MATCHES = 5_000;
/** The page stays smooth: so long at a stretch, in milliseconds. */
const SLICE = 8;
const PAGE_ITEMS = 1_000;

export interface Scan {
  readonly state: 'running' | 'done' | 'cancelled' | 'failed';
  readonly order: Order;
  /** Items to look at, at most. */
  readonly limit: number;
  readonly looked: number;
  readonly found: number;
  /** The offset that was looked at last. */
  readonly last: bigint | undefined;
  readonly error: unknown;
}

export class Finder {
  readonly query = signal('');
  /** What matches, in order of offsets. */
  readonly matches = signal<readonly Item[]>([]);
  /** Items in memory that were looked at. */
  readonly looked = signal(0);
  readonly scan = signal<Scan | undefined>(undefined);
  readonly #model: ListModel;
  readonly #found = new Map<bigint, Item>();
  #matcher: Matcher | undefined;
  #verdicts = new WeakMap<Item, boolean>();
  #searching = 0;
  #abort: AbortController | undefined;

  constructor(model: ListModel) {
    this.#model = model;
  }

  get isOn(): boolean {
    return this.#matcher !== undefined;
  }

  setQuery(query: string): void {
    if (query === this.query.value) return;
    this.cancel();
    this.#matcher = matcherOf(query);
    this.#verdicts = new WeakMap();
    this.#found.clear();
    batch(() => {
      this.query.value = query;
      this.matches.value = [];
      this.looked.value = 0;
      this.scan.value = undefined;
    });
    void this.search();
  }

  /** Whether an item matches; what was found out is kept. */
  isMatch(item: Item): boolean {
    if (!this.#matcher) return false;
    let verdict = this.#verdicts.get(item);
    if (verdict === undefined) {
      verdict = this.#matcher(item);
      this.#verdicts.set(item, verdict);
    }
    return verdict;
  }

  /** Looks at all that is in memory, in slices. */
  async search(): Promise<void> {
    const turn = ++this.#searching;
    if (!this.#matcher) return;
    let until = performance.now() + SLICE;
    let looked = 0;
    for (const item of this.#model.chunks.loaded()) {
      looked += 1;
      if (this.isMatch(item)) this.#keep(item);
      if (performance.now() < until) continue;
      await pause();
      if (turn !== this.#searching) return;
      until = performance.now() + SLICE;
    }
    this.looked.value = looked;
    this.#publish();
  }

  /** Reads on from an offset, so many items at most. */
  async read(from: bigint | undefined, order: Order, limit: number): Promise<void> {
    this.cancel();
    if (!this.#matcher) return;
    const abort = new AbortController();
    this.#abort = abort;
    this.#model.signal.addEventListener('abort', () => abort.abort(), { once: true });
    const label = begin(`Scan ${order}`);
    let scan: Scan = { state: 'running', order, limit, looked: 0, found: 0, last: undefined, error: undefined };
    this.scan.value = scan;
    try {
      const { store, keyspace, key } = this.#model;
      const options = { order, startOffset: from, maxItems: limit, pageSize: PAGE_ITEMS, signal: abort.signal, label };
      for await (const page of store.pages(keyspace, key, options)) {
        spent(label, page.stats);
        let until = performance.now() + SLICE;
        for (const item of page.items) {
          scan = { ...scan, looked: scan.looked + 1, last: item.offset };
          if (this.isMatch(item)) {
            scan = { ...scan, found: scan.found + 1 };
            this.#keep(item);
          }
          if (performance.now() < until) continue;
          this.scan.value = scan;
          await pause();
          until = performance.now() + SLICE;
          abort.signal.throwIfAborted();
        }
        batch(() => {
          this.scan.value = scan;
          this.#publish();
        });
        if (this.#found.size >= MOST_MATCHES) break;
      }
      this.scan.value = { ...scan, state: 'done' };
    } catch (error) {
      if (this.#abort === abort || abort.signal.aborted) {
        const state = abort.signal.aborted ? 'cancelled' : 'failed';
        if (this.scan.value) this.scan.value = { ...scan, state, error: state === 'failed' ? error : undefined };
      }
    }
  }

  cancel(): void {
    this.#abort?.abort();
    this.#abort = undefined;
  }

  dispose(): void {
    this.#searching += 1;
    this.cancel();
  }

  #keep(item: Item): void {
    // A copy: the items of a page share one piece of memory, of which perhaps one matches.
    if (this.#found.size < MOST_MATCHES && !this.#found.has(item.offset)) this.#found.set(item.offset, copyOf(item));
  }

  #publish(): void {
    if (this.#found.size === this.matches.value.length) return;
    this.matches.value = [...this.#found.values()].sort((one, other) => (one.offset < other.offset ? -1 : 1));
  }
}

function copyOf({ offset, timestamp, nonce, value }: Item): Item {
  const bytes = value.slice();
  const text = () => new TextDecoder().decode(bytes);
  return {
    offset,
    timestamp,
    nonce,
    value: bytes,
    date: new Date(Number(timestamp)),
    text,
    json: <T>() => JSON.parse(text()) as T,
  };
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}
