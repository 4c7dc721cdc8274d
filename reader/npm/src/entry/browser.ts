/** Browsers and their bundlers: the module is a file beside this one. */

import { opener } from '../open.js';
import { inBrowser } from '../runtime.js';

export * from '../errors.js';

export const open: typeof import('../index.js').open = /* @__PURE__ */ opener(() => ({
  wasm: () => new URL('./klstore.wasm', import.meta.url),
  isBrowserLike: inBrowser(),
  sharesPromises: true,
}));
