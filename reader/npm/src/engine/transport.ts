/** HTTP as the reader wants it: plain GETs that a browser sends without asking first. */

import type { BucketOptions } from '../options.js';
import type { Runtime } from '../runtime.js';

/** A GET of a URL that is signed already, where it needs to be. */
export interface FetchRequest {
  readonly url: string;
  /** Bytes; the end is exclusive. */
  readonly start: number | undefined;
  readonly end: number | undefined;
  /** Past the HTTP cache. */
  readonly reload: boolean;
  readonly signal: AbortSignal;
}

/** The store does not let this page's origin read its answers. */
export class CrossOriginAnswer extends Error {
  constructor(readonly origin: string) {
    super('the store does not allow this origin');
  }
}

export class Transport {
  readonly #options: BucketOptions;
  readonly #runtime: Runtime;
  /** Whether the store has ever been seen to answer. */
  #reached = false;

  constructor(options: BucketOptions, runtime: Runtime) {
    this.#options = options;
    this.#runtime = runtime;
  }

  async fetch(request: FetchRequest): Promise<Response> {
    const { presign } = this.#options;
    const { signal } = request;
    const url = presign
      ? String(await presign({ method: 'GET', url: new URL(request.url), signal }))
      : request.url;
    const init: RequestInit = { redirect: 'manual', signal };
    // The only header, and one that CORS lets pass without a preflight.
    if (request.start !== undefined && request.end !== undefined) {
      init.headers = { range: `bytes=${request.start}-${request.end - 1}` };
    }
    if (this.#runtime.isBrowserLike) {
      init.credentials = 'omit';
      init.mode = 'cors';
      if (request.reload || this.#options.cache?.http === false) init.cache = 'reload';
    }
    try {
      const response = await (this.#options.fetch ?? fetch)(url, init);
      this.#reached = true;
      return response;
    } catch (error) {
      const origin = await this.#forbiddenOrigin(url, signal);
      throw origin === undefined ? error : new CrossOriginAnswer(origin);
    }
  }

  /**
   * A browser says the same of a store that is away and of one without a CORS rule for the page. One that answers a
   * request whose answer nobody may read is not away.
   */
  async #forbiddenOrigin(url: string, signal: AbortSignal): Promise<string | undefined> {
    const origin: string | undefined = globalThis.location?.origin;
    const asked = origin && !this.#reached && !this.#options.fetch && !signal.aborted && this.#runtime.isBrowserLike;
    if (!asked || new URL(url).origin === origin) return undefined;
    try {
      await fetch(url, { mode: 'no-cors', credentials: 'omit', cache: 'no-store', signal });
      return origin;
    } catch {
      return undefined;
    }
  }
}

/** The status, and the headers that the reader looks at. */
export function head(response: Response, headerNames: readonly string[]): [number, string[]] {
  // A browser shows nothing of a redirect but that it is one.
  const status = response.type === 'opaqueredirect' ? 301 : response.status;
  const values = headerNames.map((name) => response.headers.get(name) ?? '');
  // Of a body that was compressed on its way the length says nothing.
  if (response.headers.get('content-encoding')) values[headerNames.indexOf('content-length')] = '';
  return [status, values];
}

/** What an error says, without URLs' queries: they may hold signatures. */
export function reasonOf(error: unknown): string {
  let innermost = error;
  while (innermost instanceof Error && innermost.cause instanceof Error) innermost = innermost.cause;
  const text = innermost instanceof Error ? innermost.message || innermost.name : String(innermost);
  return text.replace(/\?[^\s"'<>]*/g, '?…').slice(0, 300);
}
