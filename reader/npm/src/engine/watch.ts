/** Tells the caller's observer what became of each request, without what signs it. */

import type { OpenOptions, RequestPurpose, RequestRecord } from '../options.js';

/** One request under way. */
export interface Watched {
  status: number | null;
  bytes: number;
  /** Why no answer came, or not all of it. */
  interrupted: string | null;
  end(aborted: boolean): void;
}

/** What a request asks for. */
interface Asked {
  readonly kind: 'LIST' | 'GET';
  readonly name: string;
  readonly startAfter: string | null;
  readonly range: { readonly start: number; readonly end: number } | null;
  readonly reload: boolean;
}

/** Watches the requests of one call; nothing where nobody asked. */
export class Watch {
  readonly #options: OpenOptions;
  readonly #label: string | undefined;
  readonly #attempts = new Map<string, number>();

  constructor(options: OpenOptions, label: string | undefined) {
    this.#options = options;
    this.#label = label;
  }

  /** A request by HTTP: an object, or a LIST by its query. */
  fetch(url: string, start: number | undefined, end: number | undefined, reload: boolean): Watched | undefined {
    if (!this.#options.onRequest || this.#options.source) return undefined;
    const { bucket, endpoint, pathStyle, cache } = this.#options;
    const { pathname, hostname, searchParams } = new URL(url);
    const passesCache = reload || cache?.http === false;
    if (searchParams.get('list-type') === '2') {
      return this.list(searchParams.get('prefix') ?? '', searchParams.get('start-after') ?? undefined);
    }
    const base = endpoint === undefined ? '/' : new URL(endpoint).pathname.replace(/\/*$/, '/');
    const inPath = pathStyle === true || !hostname.startsWith(`${bucket}.`);
    const name = pathname.slice(base.length + (inPath ? bucket.length + 1 : 0));
    return this.get(decodeURIComponent(name), start, end, passesCache);
  }

  list(prefix: string, startAfter: string | undefined): Watched | undefined {
    return this.#begin({ kind: 'LIST', name: prefix, startAfter: startAfter ?? null, range: null, reload: true });
  }

  get(name: string, start: number | undefined, end: number | undefined, reload: boolean): Watched | undefined {
    const range = start === undefined || end === undefined ? null : { start, end };
    return this.#begin({ kind: 'GET', name, startAfter: null, range, reload });
  }

  #begin(asked: Asked): Watched | undefined {
    const { onRequest, prefix = '' } = this.#options;
    if (!onRequest) return undefined;
    const { kind, name, startAfter, range, reload } = asked;
    const identity = [kind, name, startAfter, range?.start, range?.end].join(' ');
    const attempt = (this.#attempts.get(identity) ?? 0) + 1;
    this.#attempts.set(identity, attempt);
    const startedAt = Date.now();
    const began = performance.now();
    const watched: Watched = {
      status: null,
      bytes: 0,
      interrupted: null,
      end: (aborted) => {
        const { status, bytes, interrupted } = watched;
        report(onRequest, {
          kind,
          purpose: purposeOf(kind, name.slice(prefix.length)),
          name,
          range,
          reload,
          attempt,
          startedAt,
          duration: performance.now() - began,
          status,
          bytes,
          outcome: aborted ? 'aborted' : interrupted === null ? 'answered' : 'failed',
          error: aborted ? null : interrupted,
          label: this.#label,
        });
      },
    };
    return watched;
  }
}

const PARTS = new Map<string, RequestPurpose>([
  ['log', 'commit'],
  ['seg', 'segment'],
  ['idx', 'index-page'],
]);

/** By the name alone, after the store's prefix: see docs/FORMAT.md. */
function purposeOf(kind: 'LIST' | 'GET', name: string): RequestPurpose {
  const [, folder, , part] = name.split('/');
  if (kind === 'LIST') {
    if (folder === undefined) return 'keyspaces';
    return part === undefined ? 'keys' : part === 'log' ? 'newest-commit' : 'other';
  }
  if (folder === 'keyspace.json') return 'keyspace';
  return (part !== undefined && PARTS.get(part)) || 'other';
}

/** An observer that throws is like an event listener that does: reading goes on, and the runtime says so. */
function report(onRequest: (record: RequestRecord) => void, record: RequestRecord): void {
  try {
    onRequest(Object.freeze(record));
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
