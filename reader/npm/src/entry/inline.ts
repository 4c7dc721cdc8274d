/** The module within this file: Deno, and wherever a file beside the code is in the way. */

import wasm from '../engine/klstore.wasm';

import { opener } from '../open.js';
import { inBrowser } from '../runtime.js';

export * from '../errors.js';

export const open: typeof import('../index.js').open = /* @__PURE__ */ opener(() => ({
  wasm: () => wasm as Uint8Array<ArrayBuffer>,
  isBrowserLike: inBrowser(),
  sharesPromises: true,
}));
