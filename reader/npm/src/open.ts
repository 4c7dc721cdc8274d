/** From options to a store. */

import { compile } from './engine/module.js';
import { checked } from './engine/keys.js';
import { ConfigurationError } from './errors.js';
import type { OpenOptions } from './options.js';
import type { Runtime } from './runtime.js';
import { ListStore } from './store.js';
import type { Store } from './types.js';

/** The `open` of a runtime. The package's own module is compiled once for all stores. */
export function opener(runtime: () => Runtime): (options: OpenOptions) => Promise<Store> {
  let compiled: Promise<WebAssembly.Module> | undefined;
  const own = (here: Runtime): Promise<WebAssembly.Module> => {
    if (!here.sharesPromises) return compile(here.wasm());
    // After a failure the next store tries again.
    compiled ??= compile(here.wasm()).catch((error: unknown) => {
      compiled = undefined;
      throw error;
    });
    return compiled;
  };
  return async (options) => {
    refuseContradictions(options);
    const { wasm, signal } = options;
    signal?.throwIfAborted();
    const here = runtime();
    const module = await (wasm === undefined ? own(here) : compile(wasm, signal));
    signal?.throwIfAborted();
    return ListStore.open(options, here, module);
  };
}

function refuseContradictions(options: OpenOptions): void {
  const refuse = (message: string): never => {
    throw new ConfigurationError('Configuration', message);
  };
  if (typeof options !== 'object' || options === null) refuse('open() takes an object: { bucket, region, … }');
  if (options.onRequest !== undefined && typeof options.onRequest !== 'function') refuse('onRequest is to be a function');
  if (options.source) {
    const { list, get } = options.source;
    if (typeof list !== 'function' || typeof get !== 'function') refuse('source needs two functions: list and get');
    return;
  }
  const { bucket, credentials, presign } = options;
  if (typeof bucket !== 'string' || bucket === '') refuse('open() needs a bucket, or a source');
  if (credentials && presign) refuse('credentials and presign exclude each other: URLs are signed here or there');
  if (credentials && typeof credentials !== 'function') {
    try {
      checked(credentials);
    } catch (error) {
      refuse((error as Error).message);
    }
  }
}
