/** What `wasm-bindgen` writes from reader/wasm (script/npm-pack puts it beside this file): a new instance each time. */

export interface WasmOperation {
  poll(host: Host, now: number): unknown;
  respond(id: number, status: number, headers: string[]): void;
  found(id: number, etag: string | undefined, size: number | undefined): void;
  chunk(id: number, chunk: Uint8Array): boolean;
  listed(id: number, name: string, etag: string, size: number): void;
  listedPrefix(id: number, prefix: string): void;
  complete(id: number, flag: boolean): void;
  giveCredentials(id: number, accessKey: string, secretKey: string, token: string | undefined): void;
  fail(id: number, interrupted: boolean, reason: string): void;
  failCrossOrigin(id: number, origin: string): void;
  free(): void;
}

/** What an operation asks for, by number. */
export interface Host {
  fetch(id: number, url: string, start: number | undefined, end: number | undefined, reload: boolean): void;
  list(id: number, prefix: string, startAfter: string | undefined, maxKeys: number, delimiter: boolean): void;
  get(id: number, name: string, start: number | undefined, end: number | undefined, reload: boolean): void;
  credentials(id: number): void;
  sleep(id: number, milliseconds: number): void;
  cancel(id: number): void;
}

export interface WasmTail {
  poll(): WasmOperation;
  reload(): void;
  free(): void;
}

export interface WasmStore {
  readPage(
    names: string[],
    backwards: boolean,
    maxItems: number,
    startOffset: bigint | undefined,
    startTimestamp: bigint | undefined,
    startNonce: bigint | undefined,
    continuation: string | undefined,
  ): WasmOperation;
  stat(names: string[]): WasmOperation;
  keyspaces(maxNames: number, continuation: string | undefined): WasmOperation;
  keys(names: string[], maxNames: number, continuation: string | undefined): WasmOperation;
  timeline(names: string[], from: bigint | undefined, to: bigint | undefined): WasmOperation;
  tail(names: string[], offset: bigint | undefined): WasmTail;
  free(): void;
}

export interface Glue {
  (options: { module_or_path: WebAssembly.Module }): Promise<{ readonly memory: WebAssembly.Memory }>;
  readonly Store: {
    bucket(names: string[], pathStyle: boolean, signed: boolean, quantum: number, bounds: Float64Array): WasmStore;
    source(prefix: string, bounds: Float64Array): WasmStore;
  };
  readonly Operation: { headerNames(): string };
}

export function createGlue(): Glue;
