import type { WasmSource } from './options.js';

/** What differs from runtime to runtime. */
export interface Runtime {
  /** The package's own module. */
  readonly wasm: () => WasmSource | Promise<WasmSource>;
  /** Whether fetch knows a page's origin, cookies and an HTTP cache. */
  readonly isBrowserLike: boolean;
  /** Whether calls may wait for what another call began; not in an edge runtime, where each belongs to one request. */
  readonly sharesPromises: boolean;
}

/** Whether this is a page or a worker of a browser. */
export function inBrowser(): boolean {
  return ('window' in globalThis || 'WorkerGlobalScope' in globalThis) && !('Deno' in globalThis);
}
