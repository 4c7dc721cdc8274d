/**
 * Reads klstore lists straight from S3, with nothing between.
 *
 * @packageDocumentation
 */

import type { OpenOptions } from './options.js';
import type { Store } from './types.js';

/**
 * Opens a store: loads the WebAssembly module (once for all stores) and checks the options. No request is sent to the
 * bucket yet.
 *
 * ```js
 * import { open } from 'klstore';
 *
 * const store = await open({ bucket: 'my-bucket', region: 'eu-central-1' });
 * const { items } = await store.readPage('flights', 'N14228', { order: 'backwards', maxItems: 10 });
 * ```
 *
 * @throws {@link ConfigurationError} where the options are not usable.
 */
export declare function open(options: OpenOptions): Promise<Store>;

export * from './errors.js';
export type * from './options.js';
export type * from './types.js';
