/** The keys of a keyspace: names page by page, and what is known of each that is seen. */

import { batch, signal } from '@preact/signals';
import type { KeyInfo, Store } from 'klstore';

import { begin, join } from '../requests/log';
import { RowGrid, type RowSource } from '../rows/grid';
import { createKeyRow, fillKeyRow, type KeyState } from './key-row';

const PAGE_NAMES = 500;
/** Rows from the end at which the next page is fetched. */
const AHEAD = 60;
/** A row has to be seen so long before anything is asked for it. */
const DELAY = 120;
const MOST_STATS = 4;

export type Status = 'loading' | 'ready' | 'empty' | 'error';

export class KeyList implements RowSource {
  readonly status = signal<Status>('loading');
  readonly error = signal<unknown>(undefined);
  readonly count = signal(0);
  readonly isComplete = signal(false);
  readonly hrefOf: (key: string) => string;
  readonly #store: Store;
  readonly #keyspace: string;
  readonly #open: (key: string) => void;
  readonly #states = new Map<string, KeyState>();
  readonly #asking = new Map<string, AbortController>();
  #keys: string[] = [];
  #continuation: string | undefined;
  #prefix = '';
  #reading: AbortController | undefined;
  #grid: RowGrid | undefined;
  #seen: readonly string[] = [];
  #delay: ReturnType<typeof setTimeout> | undefined;

  constructor(store: Store, keyspace: string, hrefOf: (key: string) => string, open: (key: string) => void) {
    this.#store = store;
    this.#keyspace = keyspace;
    this.hrefOf = hrefOf;
    this.#open = open;
  }

  attach(scroller: HTMLElement, head: HTMLElement, body: HTMLElement): void {
    this.#grid = new RowGrid(scroller, head, body, this);
  }

  dispose(): void {
    clearTimeout(this.#delay);
    this.#reading?.abort();
    for (const asking of this.#asking.values()) asking.abort();
    this.#grid?.dispose();
  }

  search(prefix: string): void {
    this.#prefix = prefix;
    this.#reading?.abort();
    this.#reading = undefined;
    this.#keys = [];
    this.#continuation = undefined;
    batch(() => {
      this.status.value = 'loading';
      this.count.value = 0;
      this.isComplete.value = false;
    });
    this.#grid?.activate(undefined, { reveal: false });
    this.#grid?.counted();
    this.#grid?.showAtTop(0);
    void this.more();
  }

  /** The next page of names. */
  async more(): Promise<void> {
    if (this.#reading || this.isComplete.value) return;
    const reading = new AbortController();
    this.#reading = reading;
    this.error.value = undefined;
    const label = begin(this.#prefix === '' ? 'List keys' : `List keys ${this.#prefix}…`);
    try {
      const options = {
        prefix: this.#prefix,
        maxNames: PAGE_NAMES,
        continuation: this.#continuation,
        signal: reading.signal,
        label,
      };
      const { keys, continuation } = await this.#store.keys(this.#keyspace, options);
      this.#keys.push(...keys);
      this.#continuation = continuation ?? undefined;
      batch(() => {
        this.count.value = this.#keys.length;
        this.isComplete.value = continuation === null;
        this.status.value = this.#keys.length === 0 ? 'empty' : 'ready';
      });
      // A keyspace that is not there looks like one without keys.
      if (this.#keys.length === 0 && this.#prefix === '') {
        await this.#store.stat(this.#keyspace, { signal: reading.signal, label });
      }
    } catch (error) {
      if (reading.signal.aborted) return;
      batch(() => {
        this.error.value = error;
        this.status.value = 'error';
      });
    } finally {
      if (this.#reading === reading) {
        this.#reading = undefined;
        this.#grid?.counted();
      }
    }
  }

  rows(): number {
    return this.#keys.length;
  }

  create(): HTMLElement {
    return createKeyRow();
  }

  render(row: number, element: HTMLElement): void {
    const key = this.#keys[row];
    if (key !== undefined) fillKeyRow(element, key, this.hrefOf(key), this.#states.get(key) ?? 'loading');
  }

  seen(first: number, end: number): void {
    this.#seen = this.#keys.slice(first, end);
    // What could not be read is tried again when it comes into sight again.
    for (const [key, state] of this.#states)
      if (state instanceof Error && !this.#seen.includes(key)) this.#states.delete(key);
    for (const [key, asking] of this.#asking) {
      if (this.#seen.includes(key)) continue;
      asking.abort();
      this.#asking.delete(key);
    }
    if (end > this.#keys.length - AHEAD && this.#continuation !== undefined) void this.more();
    clearTimeout(this.#delay);
    this.#delay = setTimeout(() => this.#askNext(), DELAY);
  }

  rested(): void {
    this.#askNext();
  }

  activated(row: number, by: 'pointer' | 'keys'): void {
    // A row is a link: a click goes there.
    if (by === 'pointer') this.opened(row);
  }

  opened(row: number): void {
    const key = this.#keys[row];
    if (key !== undefined) this.#open(key);
  }

  #askNext(): void {
    for (const key of this.#seen) {
      if (this.#asking.size >= MOST_STATS) return;
      if (!this.#states.has(key) && !this.#asking.has(key)) void this.#ask(key);
    }
  }

  async #ask(key: string): Promise<void> {
    const asking = new AbortController();
    this.#asking.set(key, asking);
    let state: KeyState;
    try {
      const info: KeyInfo | null = await this.#store.stat(this.#keyspace, key, {
        signal: asking.signal,
        label: join('Look at keys'),
      });
      state = info ?? 'none';
    } catch (error) {
      if (asking.signal.aborted) return;
      state = error instanceof Error ? error : new Error(String(error));
    }
    this.#asking.delete(key);
    this.#states.set(key, state);
    this.#grid?.refresh();
    this.#askNext();
  }
}
