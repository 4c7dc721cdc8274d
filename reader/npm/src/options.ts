/** Where the lists are and how they are reached: what {@link open} takes. */

/** Keys that sign requests. */
export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Of temporary keys. */
  readonly sessionToken?: string | undefined;
  /** When they expire. A provider is asked for new ones a minute before. */
  readonly expiration?: Date | undefined;
}

/** Gives keys: called for the first request, again before they expire, and once where a store says that they have. */
export type CredentialsProvider = (context: { readonly signal: AbortSignal }) => Promise<Credentials> | Credentials;

/** A request that is to be signed elsewhere. */
export interface PresignRequest {
  /** Always `GET`. */
  readonly method: 'GET';
  /**
   * The whole URL without a signature: that of an object, or of the bucket with a `list-type=2` query for a LIST.
   * `Range` is sent as a header and needs no signature.
   */
  readonly url: URL;
  readonly signal: AbortSignal;
}

/**
 * Signs a URL, mostly by asking a server that holds the keys. Answer the same URL for the same request for a few minutes
 * where you can: only then can the HTTP cache serve objects again.
 */
export type Presign = (request: PresignRequest) => Promise<string | URL> | string | URL;

/** A LIST of a {@link Source}. */
export interface SourceListRequest {
  /** Names begin with it. */
  readonly prefix: string;
  /** Only names after this one, in byte order of UTF-8. */
  readonly startAfter?: string | undefined;
  /** At most so many names and common prefixes together; from 1 to 1,000. */
  readonly maxKeys: number;
  /** `/` groups names up to the next slash after the prefix. */
  readonly delimiter?: '/' | undefined;
  readonly signal: AbortSignal;
}

/** What a {@link Source} answers to a LIST; both arrays in byte order. */
export interface SourceListing {
  readonly objects: readonly SourceObjectInfo[];
  /** With a delimiter: what names have in common, up to and with the slash. */
  readonly prefixes?: readonly string[] | undefined;
  /** Whether more names follow. */
  readonly truncated?: boolean | undefined;
}

/** An object as a LIST shows it. */
export interface SourceObjectInfo {
  readonly key: string;
  /** The same that a GET answers; with or without quotes. */
  readonly etag: string;
  /** Bytes. */
  readonly size: number;
}

/** A GET of a {@link Source}: bytes `start` to `end` (exclusive); fewer where the object ends before. */
export interface SourceGetRequest {
  readonly key: string;
  /** The whole object where it is left out. */
  readonly range?: { readonly start: number; readonly end: number } | undefined;
  /** Past every cache: what was cached did not fit. */
  readonly reload: boolean;
  readonly signal: AbortSignal;
}

/** What a {@link Source} answers to a GET. */
export interface SourceObject {
  readonly body: Uint8Array | ArrayBuffer | ReadableStream<Uint8Array>;
  readonly etag: string;
  /** Bytes of the whole object, where it is known. */
  readonly size?: number | undefined;
}

/**
 * Anything that lists and gets objects, in the place of S3's HTTP: a Cloudflare R2 binding, a folder, a test.
 *
 * An error that it throws is tried again, within the bounds of {@link RetryOptions}.
 */
export interface Source {
  /** Names in the order of their bytes, as they are at this moment: never from a cache. */
  list(request: SourceListRequest): Promise<SourceListing>;
  /** `null` where the object, or the range of it, does not exist. */
  get(request: SourceGetRequest): Promise<SourceObject | null>;
}

/** What is kept, and where. */
export interface CacheOptions {
  /** Bytes of objects in memory; 16 MiB where it is left out, 0 keeps none. */
  readonly memory?: number | undefined;
  /** Whether the browser's HTTP cache may serve what never changes; `true` where it is left out. */
  readonly http?: boolean | undefined;
}

/** Bounds on the attempts of one request, all in milliseconds but the number of attempts. */
export interface RetryOptions {
  /** In all, the first one included; 5 where it is left out. */
  readonly attempts?: number | undefined;
  /** For one attempt with its whole body; 15,000 where it is left out. */
  readonly attemptTimeout?: number | undefined;
  /** For all attempts of a request and the pauses between them; 30,000 where it is left out. */
  readonly deadline?: number | undefined;
}

/** What the WebAssembly module may be given as. */
export type WasmSource = string | URL | Request | Response | BufferSource | WebAssembly.Module;

/**
 * What a request is for: names of keyspaces or keys, a keyspace's description, a look for the newest commit (a LIST), a
 * commit, a segment of older items, or a page of the index.
 */
export type RequestPurpose =
  | 'keyspaces'
  | 'keys'
  | 'keyspace'
  | 'newest-commit'
  | 'commit'
  | 'segment'
  | 'index-page'
  | 'other';

/** What became of one request. It holds no key, token, signature or signed URL. */
export interface RequestRecord {
  readonly kind: 'LIST' | 'GET';
  readonly purpose: RequestPurpose;
  /** The object's name in the bucket, or of a LIST what the names begin with. */
  readonly name: string;
  /** The bytes asked for, `end` exclusive; `null` for a whole object or a LIST. */
  readonly range: { readonly start: number; readonly end: number } | null;
  /** Whether it went past the browser's HTTP cache. Otherwise that may have answered, which a page cannot always see. */
  readonly reload: boolean;
  /** 1, or more where the same call has sent the same request before. */
  readonly attempt: number;
  /** Milliseconds since 1970, by this machine's clock. */
  readonly startedAt: number;
  /** Milliseconds until the last byte that was wanted; signing by `presign` included. */
  readonly duration: number;
  /** Of the answer; `null` where none came, or where a {@link Source} has none. */
  readonly status: number | null;
  /** Bytes of the body that were received. */
  readonly bytes: number;
  /** `aborted`: the call was given up, or needed no more of it. `failed`: no answer, or not all of it. */
  readonly outcome: 'answered' | 'aborted' | 'failed';
  /** Why it failed. */
  readonly error: string | null;
  /** {@link CallOptions.label} of the call that it was for. */
  readonly label: string | undefined;
}

/** What all ways to reach a store share. */
export interface CommonOptions {
  /** What all object names begin with; the same as the writer's. Nothing where it is left out. */
  readonly prefix?: string | undefined;
  readonly cache?: CacheOptions | undefined;
  readonly retry?: RetryOptions | undefined;
  /**
   * Told of every request once it is over, each attempt by itself: for a panel, metrics or a bill. What the memory cache
   * answers is no request; see {@link ReadStats.cacheHits}.
   */
  readonly onRequest?: ((record: RequestRecord) => void) | undefined;
  /** The module, where the package's own is not to be loaded: from your own URL, or compiled already. */
  readonly wasm?: WasmSource | Promise<WasmSource> | undefined;
  /** Gives up loading the module. */
  readonly signal?: AbortSignal | undefined;
}

/** A bucket on S3, or on a store that speaks its protocol. */
export interface BucketOptions extends CommonOptions {
  readonly bucket: string;
  /** The bucket's region; `us-east-1` where it is left out. */
  readonly region?: string | undefined;
  /** The store's URL; AWS's own in the region where it is left out. */
  readonly endpoint?: string | URL | undefined;
  /** Whether the bucket stands in the URL's path instead of in its host name. Always so where the host is an address. */
  readonly pathStyle?: boolean | undefined;
  /** Keys, or what gives them. A public bucket, or one behind `presign` or `fetch`, needs none. */
  readonly credentials?: Credentials | CredentialsProvider | undefined;
  /** Signs URLs elsewhere; not together with `credentials`. */
  readonly presign?: Presign | undefined;
  /** Used instead of the global `fetch`. It is given a URL and must not follow redirects. */
  readonly fetch?: typeof fetch | undefined;
  /**
   * Seconds for which the same object has the same signed URL, so that the HTTP cache can serve it; 600 where it is left
   * out, 0 to 86,400. A signed URL expires five minutes after them.
   */
  readonly signingQuantum?: number | undefined;
  readonly source?: undefined;
}

/** A store that is reached by functions of your own. */
export interface SourceOptions extends CommonOptions {
  readonly source: Source;
}

/** What {@link open} takes. */
export type OpenOptions = BucketOptions | SourceOptions;
