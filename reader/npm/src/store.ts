/** The store: from calls to the module's operations and back. */

import { count, optionalText, quantity, refuse, text, timestamp, unsigned } from './arguments.js';
import { Call, type Means } from './engine/call.js';
import { translated } from './engine/failure.js';
import { Gate } from './engine/gate.js';
import type { Glue, WasmOperation, WasmStore, WasmTail } from './engine/glue.js';
import { type Columns, itemsOf } from './engine/items.js';
import { Keys } from './engine/keys.js';
import { type Engine, instantiate } from './engine/module.js';
import { Transport } from './engine/transport.js';
import { Watch } from './engine/watch.js';
import { ClosedError, ConfigurationError, KlstoreError } from './errors.js';
import { NamePages } from './names.js';
import type { BucketOptions, OpenOptions } from './options.js';
import type { Runtime } from './runtime.js';
import type {
  CallOptions,
  FollowOptions,
  Item,
  KeyInfo,
  KeyOptions,
  KeyPage,
  KeyspaceInfo,
  KeyspacePage,
  NameOptions,
  Names,
  Page,
  PageOptions,
  ScanOptions,
  Store,
  Timeline,
  TimelineOptions,
  TimelineSpan,
} from './types.js';

/** Requests of a store that are under way at a time. */
const MAX_IN_FLIGHT = 6;
const DEFAULT_CACHE_BYTES = 16 * 2 ** 20;
const DEFAULT_QUANTUM_SECONDS = 600;
/** Items of the second page and those after it where a scan of items leaves it open. */
const LATER_PAGE_ITEMS = 4_000;
const MOST_NAMES = 1_000;
/** Numbers that the module gives for each span of a time line. */
const NUMBERS_OF_SPAN = 6;
/** A pause that took so much longer than it should (a laptop slept, say) makes the next poll load anew. */
const LONG_PAUSE = 60_000;
const ONE_DAY = 86_400_000;
const dispose: typeof Symbol.dispose = Symbol.dispose ?? Symbol.for('Symbol.dispose');

export class ListStore implements Store {
  readonly #options: OpenOptions;
  readonly #runtime: Runtime;
  readonly #module: WebAssembly.Module;
  readonly #keys: Keys;
  readonly #transport: Transport | undefined;
  readonly #gate = new Gate(MAX_IN_FLIGHT);
  readonly #calls = new Map<Call<unknown>, Engine>();
  #engine: Engine | undefined;
  /** Milliseconds that the store's clock is ahead of this machine's, once they proved too far apart. */
  #skew = 0;
  readonly #closing = new AbortController();

  private constructor(options: OpenOptions, runtime: Runtime, module: WebAssembly.Module) {
    this.#options = options;
    this.#runtime = runtime;
    this.#module = module;
    this.#keys = new Keys(options.source ? undefined : options.credentials, runtime.sharesPromises);
    this.#transport = options.source ? undefined : new Transport(options, runtime);
  }

  /** A store whose options have been found usable by the module. */
  static async open(options: OpenOptions, runtime: Runtime, module: WebAssembly.Module): Promise<ListStore> {
    const store = new ListStore(options, runtime, module);
    await store.#ready();
    return store;
  }

  async readPage(keyspace: string, key: string, options: PageOptions = {}): Promise<Page> {
    const checked = pageArguments(keyspace, key, options);
    return this.#call(options, (store) => store.readPage(...checked), (outcome, engine) => {
      const { continuation, stats, ...columns } = outcome as Columns & Pick<Page, 'continuation' | 'stats'>;
      return { keyspace, key, items: itemsOf(columns, engine.memory), continuation, stats };
    });
  }

  async *pages(keyspace: string, key: string, options: ScanOptions = {}): AsyncIterableIterator<Page> {
    yield* this.#scan(keyspace, key, options, options.pageSize);
  }

  async *items(keyspace: string, key: string, options: ScanOptions = {}): AsyncIterableIterator<Item> {
    for await (const page of this.#scan(keyspace, key, options, options.pageSize ?? LATER_PAGE_ITEMS)) yield* page.items;
  }

  async *follow(keyspace: string, key: string, options: FollowOptions = {}): AsyncIterableIterator<Item> {
    const names = listNames(keyspace, key);
    const interval = quantity('interval', options.interval, 1_000, ONE_DAY);
    const maxInterval = Math.max(interval, quantity('maxInterval', options.maxInterval, 10_000, ONE_DAY));
    let next = options.start === 'end' ? undefined : unsigned('start', options.start, 64);
    let pause = 0;
    let tail: { readonly engine: Engine; readonly handle: WasmTail } | undefined;
    try {
      for (;;) {
        const slept = await sleep(pause, [options.signal, this.#closing.signal]);
        let items: readonly Item[] = [];
        try {
          const engine = await this.#ready();
          // After a trap there is another engine, which goes on where this one stood.
          if (tail?.engine !== engine) tail = { engine, handle: translated(() => engine.store.tail(names, next)) };
          const { handle } = tail;
          if (slept > pause + LONG_PAUSE) handle.reload();
          items = await this.#call(options, () => handle.poll(), columnsToItems, engine);
        } catch (error) {
          if (!(error instanceof KlstoreError && error.retryable)) throw error;
          options.onError?.(error);
        }
        for (const item of items) {
          next = item.offset + 1n;
          yield item;
        }
        pause = items.length > 0 ? 0 : Math.min(Math.max(2 * pause, interval), maxInterval);
      }
    } finally {
      if (tail && tail.engine === this.#engine) tail.handle.free();
    }
  }

  keyspaces(options: NameOptions = {}): Names<KeyspacePage, KeyspaceInfo> {
    const read = async (continuation: string | undefined): Promise<KeyspacePage> => {
      const most = mostNames(options);
      return this.#call(options, (store) => store.keyspaces(most, continuation), (outcome) => {
        const page = outcome as KeyspacePage;
        return { ...page, keyspaces: page.keyspaces.map(keyspaceInfo) };
      });
    };
    return new NamePages(options, read, (page) => page.keyspaces);
  }

  keys(keyspace: string, options: KeyOptions = {}): Names<KeyPage, string> {
    const read = async (continuation: string | undefined): Promise<KeyPage> => {
      const names = [text('keyspace', keyspace), optionalText('prefix', options.prefix) ?? ''];
      const most = mostNames(options);
      return this.#call(options, (store) => store.keys(names, most, continuation), (page) => page as KeyPage);
    };
    return new NamePages(options, read, (page) => page.keys);
  }

  stat(keyspace: string, options?: CallOptions): Promise<KeyspaceInfo>;
  stat(keyspace: string, key: string, options?: CallOptions): Promise<KeyInfo | null>;
  async stat(keyspace: string, second?: string | CallOptions, third?: CallOptions): Promise<KeyspaceInfo | KeyInfo | null> {
    if (typeof second === 'string') {
      const names = listNames(keyspace, second);
      return this.#call(third, (store) => store.stat(names), (info) => info as KeyInfo | null);
    }
    const names = [text('keyspace', keyspace)];
    return this.#call(second, (store) => store.stat(names), (info) => keyspaceInfo(info as KeyspaceInfo));
  }

  async timeline(keyspace: string, key: string, options: TimelineOptions = {}): Promise<Timeline | null> {
    const names = listNames(keyspace, key);
    const [from, to] = [timestamp('from', options.from), timestamp('to', options.to)];
    return this.#call(options, (store) => store.timeline(names, from, to), (outcome) => {
      const found = outcome as (Omit<Timeline, 'keyspace' | 'key' | 'spans'> & { spans: BigUint64Array }) | null;
      return found && { keyspace, key, ...found, spans: spansOf(found.spans) };
    });
  }

  close(): void {
    const reason = new ClosedError('Closed', 'the store is closed: open another one');
    this.#closing.abort(reason);
    this.#engine = undefined;
    for (const call of this.#calls.keys()) call.giveUp(reason);
  }

  [dispose](): void {
    this.close();
  }

  async *#scan(
    keyspace: string,
    key: string,
    options: ScanOptions,
    laterSize: number | undefined,
  ): AsyncIterableIterator<Page> {
    const { order, startOffset, startTimestamp, startNonce, signal, label } = options;
    let remaining = count('maxItems', options.maxItems) ?? Infinity;
    // Aborted where the caller leaves the loop while a page is fetched ahead.
    const scan = new AbortController();
    const onAbort = () => scan.abort(signal?.reason);
    if (signal?.aborted) onAbort();
    signal?.addEventListener('abort', onAbort, { once: true });
    const read = (size: number | undefined, more: PageOptions) => {
      const maxItems = Number.isFinite(remaining) ? Math.min(size ?? 1_000, remaining) : size;
      return this.readPage(keyspace, key, { order, signal: scan.signal, label, ...more, maxItems });
    };
    try {
      const start = { startOffset, startTimestamp, startNonce, continuation: options.continuation };
      let page: Page | undefined = await read(options.pageSize, start);
      for (let number = 1; page; number++) {
        remaining -= page.items.length;
        const continuation: string | undefined = (remaining > 0 && page.continuation) || undefined;
        // Who asks for a second page will want a third.
        const ahead: Promise<Page> | undefined = continuation && number > 1 ? read(laterSize, { continuation }) : undefined;
        ahead?.catch(() => undefined);
        yield page;
        page = continuation ? await (ahead ?? read(laterSize, { continuation })) : undefined;
      }
    } finally {
      signal?.removeEventListener('abort', onAbort);
      scan.abort();
    }
  }

  /** Makes a call, and once more where what it failed for can be put right: keys that expired early, a wrong clock. */
  async #call<T>(
    options: CallOptions | undefined,
    start: (store: WasmStore) => WasmOperation,
    read: (outcome: unknown, engine: Engine) => T,
    on?: Engine,
  ): Promise<T> {
    const signal = options?.signal;
    const watch = new Watch(this.#options, optionalText('label', options?.label));
    for (let attempt = 1; ; attempt++) {
      signal?.throwIfAborted();
      const engine = on ?? (await this.#ready());
      // Meanwhile either may have happened, and nobody would tell the call.
      this.#closing.signal.throwIfAborted();
      signal?.throwIfAborted();
      const call = new Call(engine, this.#means(), watch, signal, ({ store }) => start(store), read);
      this.#calls.set(call as Call<unknown>, engine);
      try {
        return await call.outcome;
      } catch (error) {
        if (attempt > 1 || !this.#putRight(error, call as Call<unknown>)) throw error;
      } finally {
        this.#calls.delete(call as Call<unknown>);
      }
    }
  }

  #putRight(error: unknown, { keys, serverTime }: Call<unknown>): boolean {
    if (!(error instanceof KlstoreError)) return false;
    // Without keys it was the provider that failed.
    if (error.code === 'Credentials' && keys && this.#keys.renewable) {
      this.#keys.renew(keys);
      return true;
    }
    const there = error.code === 'ClockSkew' && serverTime ? Date.parse(serverTime) : NaN;
    if (Number.isNaN(there)) return false;
    this.#skew = there - Date.now();
    return true;
  }

  #means(): Means {
    return {
      transport: this.#transport,
      source: this.#options.source,
      keys: this.#keys,
      gate: this.#runtime.sharesPromises ? this.#gate : new Gate(MAX_IN_FLIGHT),
      now: () => Date.now() + this.#skew,
      trapped: (engine, cause) => this.#drop(engine, cause),
    };
  }

  /** Leaves an engine that trapped, and with it every call on it. */
  #drop(engine: Engine, cause: unknown): void {
    if (this.#engine === engine) this.#engine = undefined;
    for (const [call, on] of this.#calls) if (on === engine) call.abandon(cause);
  }

  async #ready(): Promise<Engine> {
    this.#closing.signal.throwIfAborted();
    if (this.#engine) return this.#engine;
    const engine = await instantiate(this.#module, (glue) => create(glue, this.#options));
    this.#closing.signal.throwIfAborted();
    return (this.#engine ??= engine);
  }
}

function create(glue: Glue, options: OpenOptions): WasmStore {
  const { cache, retry } = options;
  const bounds = Float64Array.of(
    quantity('cache.memory', cache?.memory, DEFAULT_CACHE_BYTES, 2 ** 30),
    quantity('retry.attempts', retry?.attempts, 5, 1_000),
    quantity('retry.attemptTimeout', retry?.attemptTimeout, 15_000, ONE_DAY),
    quantity('retry.deadline', retry?.deadline, 30_000, ONE_DAY),
    Math.random(),
  );
  const prefix = optionalText('prefix', options.prefix) ?? '';
  if (options.source) return glue.Store.source(prefix, bounds);
  const names = [text('bucket', options.bucket), options.region ?? 'us-east-1', endpointOf(options), prefix];
  const quantum = quantity('signingQuantum', options.signingQuantum, DEFAULT_QUANTUM_SECONDS, 86_400);
  const signed = options.credentials !== undefined;
  return glue.Store.bucket(names, options.pathStyle === true, signed, quantum, bounds);
}

/** As the browser writes it: lower case, and a host name in other letters encoded. */
function endpointOf({ endpoint }: BucketOptions): string {
  if (endpoint === undefined) return '';
  try {
    return new URL(endpoint).href;
  } catch {
    throw new ConfigurationError('Configuration', 'the endpoint is no URL: write it like https://s3.example.com');
  }
}

function pageArguments(keyspace: string, key: string, options: PageOptions): Parameters<WasmStore['readPage']> {
  return [
    listNames(keyspace, key),
    isBackwards(options.order),
    count('maxItems', options.maxItems) ?? 0,
    unsigned('startOffset', options.startOffset, 64),
    timestamp('startTimestamp', options.startTimestamp),
    unsigned('startNonce', options.startNonce, 128),
    optionalText('continuation', options.continuation),
  ];
}

function isBackwards(order: unknown): boolean {
  if (order === undefined || order === 'forwards') return false;
  return order === 'backwards' || refuse("order is to be 'forwards' or 'backwards'");
}

function listNames(keyspace: string, key: string): string[] {
  return [text('keyspace', keyspace), text('key', key)];
}

function mostNames(options: NameOptions): number {
  return Math.min(count('maxNames', options.maxNames) ?? MOST_NAMES, MOST_NAMES);
}

function columnsToItems(outcome: unknown, engine: Engine): Item[] {
  return itemsOf(outcome as Columns, engine.memory);
}

function keyspaceInfo(info: Omit<KeyspaceInfo, 'created'> & { readonly created: Date | number }): KeyspaceInfo {
  return { ...info, created: new Date(info.created) };
}

function spansOf(numbers: BigUint64Array): TimelineSpan[] {
  const spans: TimelineSpan[] = [];
  for (let at = 0; at < numbers.length; at += NUMBERS_OF_SPAN) {
    spans.push({
      firstOffset: numbers[at]!,
      itemCount: numbers[at + 1]!,
      valueBytes: numbers[at + 2]!,
      minTimestamp: BigInt.asIntN(64, numbers[at + 3]!),
      maxTimestamp: BigInt.asIntN(64, numbers[at + 4]!),
      parts: Number(numbers[at + 5]!),
    });
  }
  return spans;
}

/** Waits until the time is over or one of the signals is aborted; answers the milliseconds that it took. */
async function sleep(milliseconds: number, signals: readonly (AbortSignal | undefined)[]): Promise<number> {
  for (const signal of signals) signal?.throwIfAborted();
  if (milliseconds === 0) return 0;
  const began = Date.now();
  const detach: (() => void)[] = [];
  try {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(resolve, milliseconds);
      detach.push(() => clearTimeout(timer));
      for (const signal of signals) {
        const onAbort = () => reject(signal?.reason);
        signal?.addEventListener('abort', onAbort);
        detach.push(() => signal?.removeEventListener('abort', onAbort));
      }
    });
  } finally {
    for (const undo of detach) undo();
  }
  return Date.now() - began;
}
