/** Cloudflare's workerd: it compiles the module itself, and every call stays within the request that made it. */

import wasm from './klstore.wasm';

import { opener } from '../open.js';

export * from '../errors.js';

export const open: typeof import('../index.js').open = /* @__PURE__ */ opener(() => ({
  wasm: () => wasm as WebAssembly.Module,
  isBrowserLike: false,
  sharesPromises: false,
}));
