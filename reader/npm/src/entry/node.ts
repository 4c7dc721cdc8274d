/** Node and Bun: the module is a file beside this one. */

import { readFile } from 'node:fs/promises';

import { opener } from '../open.js';

export * from '../errors.js';

export const open: typeof import('../index.js').open = /* @__PURE__ */ opener(() => ({
  wasm: () => readFile(new URL('./klstore.wasm', import.meta.url)),
  isBrowserLike: false,
  sharesPromises: true,
}));
