/** One call: carries out what its operation asks for, until it is through or given up. */

import { InternalError } from '../errors.js';
import type { Credentials, Source } from '../options.js';
import { errorOf, isFailure } from './failure.js';
import type { Gate } from './gate.js';
import type { Host, WasmOperation } from './glue.js';
import type { Keys } from './keys.js';
import type { Engine } from './module.js';
import { checkedListing, checkedObject } from './source.js';
import { CrossOriginAnswer, head, reasonOf, type Transport } from './transport.js';
import type { Watch, Watched } from './watch.js';

/** Pieces in which a body goes into the module: more than it wants is never copied whole. */
const PIECE_BYTES = 2 ** 20;
/** The longest pause that a timer takes. */
const MAX_TIMEOUT = 2 ** 31 - 1;

/** What the calls of a store share. */
export interface Means {
  readonly transport: Transport | undefined;
  readonly source: Source | undefined;
  readonly keys: Keys;
  readonly gate: Gate;
  /** The clock, put right by what a store said of it. */
  readonly now: () => number;
  /** The engine has trapped: nothing of it is to be used again. */
  readonly trapped: (engine: Engine, cause: unknown) => void;
}

export class Call<T> implements Host {
  readonly outcome: Promise<T>;
  /** What the store's clock said, where the call failed for that. */
  serverTime: string | undefined;
  /** The keys that it signed with last. */
  keys: Credentials | undefined;
  readonly #engine: Engine;
  readonly #means: Means;
  readonly #watch: Watch;
  readonly #read: (outcome: unknown, engine: Engine) => T;
  readonly #cancels = new Map<number, () => void>();
  readonly #detach: () => void;
  #operation: WasmOperation | undefined;
  #ended = false;
  #cause: unknown;
  #resolve!: (value: T) => void;
  #reject!: (reason: unknown) => void;

  constructor(
    engine: Engine,
    means: Means,
    watch: Watch,
    signal: AbortSignal | undefined,
    start: (engine: Engine) => WasmOperation,
    read: (outcome: unknown, engine: Engine) => T,
  ) {
    this.#engine = engine;
    this.#means = means;
    this.#watch = watch;
    this.#read = read;
    this.outcome = new Promise((resolve, reject) => ([this.#resolve, this.#reject] = [resolve, reject]));
    const onAbort = () => this.giveUp(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#detach = () => signal?.removeEventListener('abort', onAbort);
    this.#guarded(() => {
      this.#operation = start(engine);
    });
    this.#advance();
  }

  /** Ends the call with this reason, and aborts what it has under way. */
  giveUp(reason: unknown): void {
    if (this.#end()) this.#reject(reason);
  }

  /** Ends the call since its engine has trapped: the module's memory is in no known state, and is left as it is. */
  abandon(cause: unknown): void {
    this.#operation = undefined;
    const message = 'klstore made a mistake: please report it, with the cause. The next call works';
    this.giveUp(Object.assign(new InternalError('Internal', message), { cause }));
  }

  fetch(id: number, url: string, start: number | undefined, end: number | undefined, reload: boolean): void {
    const begin = () => this.#watch.fetch(url, start, end, reload);
    this.#work(id, begin, async (signal, watched) => {
      const response = await this.#means.transport!.fetch({ url, start, end, reload, signal });
      const [status, values] = head(response, this.#engine.headerNames);
      if (watched) watched.status = status;
      this.#answer((operation) => operation.respond(id, status, values));
      await this.#body(id, response.body ?? new Uint8Array(await response.arrayBuffer()), watched);
      this.#answer((operation) => operation.complete(id, false));
    });
  }

  list(id: number, prefix: string, startAfter: string | undefined, maxKeys: number, delimiter: boolean): void {
    this.#work(id, () => this.#watch.list(prefix, startAfter), async (signal) => {
      const request = { prefix, startAfter, maxKeys, delimiter: delimiter ? ('/' as const) : undefined, signal };
      const { objects, prefixes, truncated } = checkedListing(await this.#means.source!.list(request));
      this.#answer((operation) => {
        for (const { key, etag, size } of objects) operation.listed(id, key, etag, size);
        for (const common of prefixes) operation.listedPrefix(id, common);
        operation.complete(id, truncated);
      });
    });
  }

  get(id: number, key: string, start: number | undefined, end: number | undefined, reload: boolean): void {
    this.#work(id, () => this.#watch.get(key, start, end, reload), async (signal, watched) => {
      const range = start === undefined || end === undefined ? undefined : { start, end };
      const object = checkedObject(await this.#means.source!.get({ key, range, reload, signal }));
      if (!object) return this.#answer((operation) => operation.complete(id, true));
      this.#answer((operation) => operation.found(id, object.etag, object.size));
      await this.#body(id, object.body, watched);
      this.#answer((operation) => operation.complete(id, false));
    });
  }

  credentials(id: number): void {
    const controller = this.#cancellable(id);
    this.#settle(id, async () => {
      const keys = await this.#means.keys.get(this.#means.now(), controller.signal);
      this.keys = keys;
      this.#answer((operation) => {
        if (keys) operation.giveCredentials(id, keys.accessKeyId, keys.secretAccessKey, keys.sessionToken);
        else operation.complete(id, false);
      });
    });
  }

  sleep(id: number, milliseconds: number): void {
    const wake = () => {
      this.#cancels.delete(id);
      this.#answer((operation) => operation.complete(id, false));
      this.#advance();
    };
    const timer = setTimeout(wake, Math.min(milliseconds, MAX_TIMEOUT));
    this.#cancels.set(id, () => clearTimeout(timer));
  }

  cancel(id: number): void {
    this.#cancels.get(id)?.();
    this.#cancels.delete(id);
  }

  /** Does an errand that takes one of the places in flight. */
  #work(
    id: number,
    begin: () => Watched | undefined,
    errand: (signal: AbortSignal, watched: Watched | undefined) => Promise<void>,
  ): void {
    const { signal } = this.#cancellable(id);
    const inTurn = async () => {
      await this.#means.gate.enter();
      try {
        if (signal.aborted) return;
        const watched = begin();
        try {
          await errand(signal, watched);
          watched?.end(signal.aborted);
        } catch (error) {
          if (watched) watched.interrupted = reasonOf(error);
          watched?.end(signal.aborted);
          throw error;
        }
      } finally {
        this.#means.gate.leave();
      }
    };
    this.#settle(id, inTurn, this.#means.source !== undefined);
  }

  #cancellable(id: number): AbortController {
    const controller = new AbortController();
    this.#cancels.set(id, () => controller.abort());
    return controller;
  }

  /** Says what has become of an errand, and goes on. */
  async #settle(id: number, errand: () => Promise<void>, keepsCause = true): Promise<void> {
    try {
      await errand();
    } catch (error) {
      if (error instanceof CrossOriginAnswer) {
        this.#answer((operation) => operation.failCrossOrigin(id, error.origin));
      } else {
        // What fetch throws may hold a signed URL.
        if (keepsCause) this.#cause = error;
        this.#answer((operation) => operation.fail(id, false, reasonOf(error)));
      }
    }
    this.#cancels.delete(id);
    this.#advance();
  }

  /** Hands a body over piece by piece, as far as it is wanted. */
  async #body(id: number, body: Uint8Array | ReadableStream<Uint8Array>, watched: Watched | undefined): Promise<void> {
    const push = (chunk: Uint8Array) => {
      if (watched) watched.bytes += chunk.length;
      for (let start = 0; start < chunk.length; start += PIECE_BYTES) {
        const piece = chunk.subarray(start, start + PIECE_BYTES);
        if (this.#answer((operation) => operation.chunk(id, piece)) ?? true) return true;
      }
      return false;
    };
    if (body instanceof Uint8Array) {
      push(body);
      return;
    }
    const reader = body.getReader();
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        if (push(value)) break;
      }
    } catch (error) {
      if (watched) watched.interrupted = reasonOf(error);
      this.#answer((operation) => operation.fail(id, true, reasonOf(error)));
      return;
    } finally {
      // What is not wanted need not be sent. Of a body that has ended this does nothing.
      reader.cancel().catch(() => undefined);
    }
  }

  #answer<R>(tell: (operation: WasmOperation) => R): R | undefined {
    const operation = this.#operation;
    return operation && this.#guarded(() => tell(operation));
  }

  #advance(): void {
    const outcome = this.#answer((operation) => operation.poll(this, this.#means.now()));
    // Copied before anything else runs in the module.
    if (outcome === undefined) return;
    const value = this.#guarded(() => this.#read(outcome, this.#engine));
    if (value !== undefined && this.#end()) this.#resolve(value);
  }

  /** Runs what may fail in the module: with a record of its own, or by a trap. */
  #guarded<R>(run: () => R): R | undefined {
    try {
      return run();
    } catch (thrown) {
      if (isFailure(thrown)) {
        this.serverTime = thrown.there;
        const error = errorOf(thrown);
        this.giveUp(this.#cause === undefined ? error : Object.assign(error, { cause: this.#cause }));
      } else {
        this.abandon(thrown);
        this.#means.trapped(this.#engine, thrown);
      }
      return undefined;
    }
  }

  /** Frees everything; `false` where that has been done. */
  #end(): boolean {
    const first = !this.#ended;
    this.#ended = true;
    this.#detach();
    for (const cancel of this.#cancels.values()) cancel();
    this.#cancels.clear();
    const operation = this.#operation;
    this.#operation = undefined;
    operation?.free();
    return first;
  }
}
