/** Following a list: what is appended comes in by itself. It can be paused: new items are counted then, and wait. */

import { batch, effect, signal } from '@preact/signals';
import { type Item } from 'klstore';

import { actions, begin, isFailure } from '../requests/log';
import type { ListModel } from './model';

export type LiveState = 'off' | 'live' | 'paused';

const INTERVAL = 1_000;
const MOST_INTERVAL = 4_000;
/** Items that come together are shown together. */
const FLUSH_DELAY = 30;

export class Live {
  readonly state = signal<LiveState>('off');
  /** Why the last poll brought nothing, while following goes on. */
  readonly trouble = signal<unknown>(undefined);
  readonly #model: ListModel;
  #abort: AbortController | undefined;
  #buffer: Item[] = [];
  #flushing: ReturnType<typeof setTimeout> | undefined;

  constructor(model: ListModel) {
    this.#model = model;
  }

  start(): void {
    if (this.state.value === 'live') return;
    const wasOff = this.state.value === 'off';
    this.state.value = 'live';
    this.#model.showAll();
    if (wasOff) void this.#follow();
  }

  pause(): void {
    if (this.state.value === 'live') this.state.value = 'paused';
  }

  stop(): void {
    this.#abort?.abort();
    this.#abort = undefined;
    batch(() => {
      this.state.value = 'off';
      this.trouble.value = undefined;
    });
  }

  async #follow(): Promise<void> {
    const abort = new AbortController();
    this.#abort = abort;
    const label = begin('Follow');
    const unwatch = effect(() => {
      const last = actions.value.find((action) => action.label === label)?.requests.at(-1);
      if (last?.outcome === 'answered' && !isFailure(last)) this.trouble.value = undefined;
    });
    abort.signal.addEventListener('abort', unwatch, { once: true });
    const { signal: closed, store, keyspace, key, known } = this.#model;
    closed.addEventListener('abort', () => abort.abort(), { once: true });
    try {
      const options = {
        start: known.value.next,
        interval: INTERVAL,
        maxInterval: MOST_INTERVAL,
        signal: abort.signal,
        label,
        onError: (error: Error) => (this.trouble.value = error),
      };
      for await (const item of store.follow(keyspace, key, options)) {
        this.#buffer.push(item);
        this.#flushing ??= setTimeout(() => this.#flush(), FLUSH_DELAY);
      }
    } catch (error) {
      if (abort.signal.aborted) return;
      batch(() => {
        this.trouble.value = error;
        this.state.value = 'off';
      });
    }
  }

  #flush(): void {
    this.#flushing = undefined;
    const items = this.#buffer;
    this.#buffer = [];
    batch(() => {
      this.trouble.value = undefined;
      this.#model.received(items);
      if (this.state.value === 'live') this.#model.showAll();
    });
  }
}
