/** What a store is asked, and what it answers. */

/** In which order a list is read: from its first item to its last, or from its last to its first. */
export type Order = 'forwards' | 'backwards';

/** A point in time: milliseconds since 1970 as a number or BigInt, or a Date. */
export type Timestamp = Date | number | bigint;

/**
 * Where reading starts: a position, not a condition on what follows. Of several fields the strictest counts (forwards
 * the furthest, backwards the nearest to the beginning). Ignored beside a continuation.
 */
export interface Start {
  /** At this item, in both orders. Beyond the end: forwards nothing, backwards the last item. */
  readonly startOffset?: bigint | number | undefined;
  /** Forwards at the first item at or after this time; backwards at the item before the first one after it. */
  readonly startTimestamp?: Timestamp | undefined;
  /** As `startTimestamp`, by nonce. Items without a nonce never match. */
  readonly startNonce?: bigint | number | undefined;
}

/** What every call takes. */
export interface CallOptions {
  /** Gives the call up: its requests are aborted, and it rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Given back in the records of {@link CommonOptions.onRequest}: tells which requests were for what. */
  readonly label?: string | undefined;
}

/** What {@link Store.readPage} takes. */
export interface PageOptions extends Start, CallOptions {
  /** `forwards` where it is left out. */
  readonly order?: Order | undefined;
  /** Items of the page at most: at least 1; 1,000 where it is left out. A page holds 8 MiB of values at most. */
  readonly maxItems?: number | undefined;
  /** {@link Page.continuation} of the page before, to read on from there. */
  readonly continuation?: string | undefined;
}

/** What {@link Store.pages} and {@link Store.items} take. */
export interface ScanOptions extends Start, CallOptions {
  /** `forwards` where it is left out. */
  readonly order?: Order | undefined;
  /** Stops after so many items; reads up to the end of the list where it is left out. */
  readonly maxItems?: number | undefined;
  /** Items of one page at most; where it is left out 1,000 for the first, and for `items` 4,000 for those after it. */
  readonly pageSize?: number | undefined;
  /** {@link Page.continuation} of a page, to read on from there. */
  readonly continuation?: string | undefined;
}

/** What {@link Store.follow} takes. */
export interface FollowOptions extends CallOptions {
  /** Where to start: after the last item that is there now (`end`, the default), or at the item of this offset. */
  readonly start?: 'end' | bigint | number | undefined;
  /** Milliseconds to wait after a poll that brought nothing; twice as long after each further one. 1,000 by default. */
  readonly interval?: number | undefined;
  /** No wait is longer; 10,000 milliseconds by default. */
  readonly maxInterval?: number | undefined;
  /** Told of failures that pass (the network was away, say); following goes on after them. */
  readonly onError?: ((error: Error) => void) | undefined;
}

/** What {@link Store.keyspaces} takes. */
export interface NameOptions extends CallOptions {
  /** Names in one page at most; 1,000 where it is left out, which is also the most. */
  readonly maxNames?: number | undefined;
  /** Of the page before. */
  readonly continuation?: string | undefined;
}

/** What {@link Store.keys} takes. */
export interface KeyOptions extends NameOptions {
  /** Only keys that begin with it. */
  readonly prefix?: string | undefined;
}

/** What {@link Store.timeline} takes: the part of the list to look at; all of it where nothing is given. */
export interface TimelineOptions extends CallOptions {
  /** Leaves out what ended before it. */
  readonly from?: Timestamp | undefined;
  /** Leaves out what began after it. */
  readonly to?: Timestamp | undefined;
}

/** One item of a list. */
export interface Item {
  /** Its position in the list: dense, from 0. */
  readonly offset: bigint;
  /** Milliseconds since 1970. A BigInt, since any 64-bit number may have been written; see {@link Item.date}. */
  readonly timestamp: bigint;
  /** The writer's number for exactly-once appends, where the item has one. */
  readonly nonce: bigint | null;
  /** Its bytes: never a view on WebAssembly memory. The items of a page share one ArrayBuffer. */
  readonly value: Uint8Array;
  /** The timestamp as a Date; an invalid one where it lies outside of what a Date can say. */
  readonly date: Date;
  /** The value as UTF-8 text. */
  text(): string;
  /** The value parsed as JSON. */
  json<T = unknown>(): T;
}

/** A page of a list. */
export interface Page {
  readonly keyspace: string;
  readonly key: string;
  /** The items, in the order asked for. */
  readonly items: readonly Item[];
  /** Pass it to the next call to read on; `null` at the end of the list. At most 256 characters. */
  readonly continuation: string | null;
  readonly stats: ReadStats;
}

/** What a call took. */
export interface ReadStats {
  /** LIST requests sent. */
  readonly lists: number;
  /** GET requests sent. */
  readonly gets: number;
  /** Bytes of objects received. */
  readonly bytes: number;
  /** Requests that the memory cache answered. */
  readonly cacheHits: number;
  /** Continuations whose object was gone, so that the page was found again by its offset. */
  readonly continuationMisses: number;
  /** Items that a continuation would have shown but that have been trimmed since. */
  readonly trimmedItems: number;
}

/** What is known of a keyspace. */
export interface KeyspaceInfo {
  readonly keyspace: string;
  /** When it was created, by its creator's clock. */
  readonly created: Date;
  /** Version of the object layout. */
  readonly formatVersion: number;
}

/** A keyspace that exists, but whose description is damaged or of a newer release. */
export interface UnreadableKeyspace {
  readonly keyspace: string;
  /** What is wrong with which object, and what to do. */
  readonly message: string;
}

/** Some of the keyspaces of a bucket. */
export interface KeyspacePage {
  readonly keyspaces: readonly KeyspaceInfo[];
  readonly unreadable: readonly UnreadableKeyspace[];
  /** For the next page; `null` at the end. There may be fewer names than asked for although more follow. */
  readonly continuation: string | null;
}

/** Some of the keys of a keyspace. */
export interface KeyPage {
  readonly keys: readonly string[];
  /** For the next page; `null` at the end. */
  readonly continuation: string | null;
}

/**
 * One page of names where it is awaited, all names where it is iterated:
 *
 * ```js
 * const { keys, continuation } = await store.keys('flights', { maxNames: 100 });
 * for await (const key of store.keys('flights')) console.log(key);
 * ```
 */
export interface Names<P, T> extends PromiseLike<P>, AsyncIterable<T> {}

/** What is known of a key, from its newest commit alone. */
export interface KeyInfo {
  readonly keyspace: string;
  readonly key: string;
  /** Of the first live item (raised by a trim). */
  readonly firstOffset: bigint;
  /** Of the next item to be appended. */
  readonly nextOffset: bigint;
  /** The lowest nonce that the list still takes. */
  readonly nextNonce: bigint;
  /** Live items. */
  readonly itemCount: bigint;
  /** Bytes of their values. */
  readonly valueBytes: bigint;
  /** Lowest timestamp of the live items; `null` where there are none. */
  readonly minTimestamp: bigint | null;
  /** Highest timestamp of the live items; `null` where there are none. */
  readonly maxTimestamp: bigint | null;
}

/** What a list holds and when, drawn from its index: no item is read. */
export interface Timeline {
  readonly keyspace: string;
  readonly key: string;
  /** Of the first live item. */
  readonly firstOffset: bigint;
  /** Of the next item to be appended. */
  readonly nextOffset: bigint;
  /** Items of the whole list. */
  readonly itemCount: bigint;
  /** Bytes of their values, with those of items that a trim took from an object of which others are left. */
  readonly valueBytes: bigint;
  /** Parts of the list that have to do with the time asked for, in order of offsets and without gaps where all was asked for. */
  readonly spans: readonly TimelineSpan[];
  readonly stats: ReadStats;
}

/** Consecutive items of a list, summed up. */
export interface TimelineSpan {
  /** Of the first item. */
  readonly firstOffset: bigint;
  readonly itemCount: bigint;
  /** Bytes of the values; in the first span as in {@link Timeline.valueBytes}. */
  readonly valueBytes: bigint;
  /** Lowest timestamp; items need not be sorted by time, so spans may overlap. */
  readonly minTimestamp: bigint;
  /** Highest timestamp. */
  readonly maxTimestamp: bigint;
  /** How many finer spans a time line of only this time shows instead; 1 where it is as fine as the index is. */
  readonly parts: number;
}

/** Lists on S3, read straight from there. Get one from {@link open}. */
export interface Store {
  /**
   * Reads one page of a list; an empty one where the key does not exist. Without a start and a continuation it begins at
   * the first item, or backwards at the last.
   *
   * ```js
   * const newest = await store.readPage('flights', 'N14228', { order: 'backwards', maxItems: 20 });
   * for (const item of newest.items) console.log(item.date, item.json());
   * ```
   *
   * @throws {@link KeyspaceNotFoundError}, {@link InvalidContinuationError}, {@link InvalidArgumentError} and all that a
   * store may answer: see {@link KlstoreError}.
   */
  readPage(keyspace: string, key: string, options?: PageOptions): Promise<Page>;

  /** The pages of a list up to its end. Once a second page is asked for, the one after it is fetched ahead. */
  pages(keyspace: string, key: string, options?: ScanOptions): AsyncIterableIterator<Page>;

  /**
   * The items of a list up to its end.
   *
   * ```js
   * for await (const item of store.items('flights', 'N14228', { startTimestamp: new Date('2013-06-01') })) …
   * ```
   */
  items(keyspace: string, key: string, options?: ScanOptions): AsyncIterableIterator<Item>;

  /**
   * The live tail of a list: the items from the start on, then each as it is appended. Never ends by itself: abort its
   * signal, leave the loop or close the store. Goes on after failures that pass; others are thrown.
   */
  follow(keyspace: string, key: string, options?: FollowOptions): AsyncIterableIterator<Item>;

  /** The keyspaces of the bucket: a page of them where awaited, all that can be read where iterated. */
  keyspaces(options?: NameOptions): Names<KeyspacePage, KeyspaceInfo>;

  /** The keys of a keyspace: a page of them where awaited, all where iterated. */
  keys(keyspace: string, options?: KeyOptions): Names<KeyPage, string>;

  /** What is known of a keyspace. @throws {@link KeyspaceNotFoundError} */
  stat(keyspace: string, options?: CallOptions): Promise<KeyspaceInfo>;
  /** What is known of a key, by two requests; `null` where nothing was ever appended. */
  stat(keyspace: string, key: string, options?: CallOptions): Promise<KeyInfo | null>;

  /**
   * What a list holds and when: counts, bytes and time ranges from index data alone, by at most three requests for a
   * list of a million segments; `null` where nothing was ever appended. Ask for a part of the time to see it finer.
   */
  timeline(keyspace: string, key: string, options?: TimelineOptions): Promise<Timeline | null>;

  /** Gives up what is under way, with {@link ClosedError}, and frees the memory. Closing twice does no harm. */
  close(): void;
  /** The same, for `using store = await open(…)`. */
  [Symbol.dispose](): void;
}
