// Bundles the entry points into dist/ and weighs what a page downloads. Run by script/npm-pack.

import { copyFile, readFile, readdir, rm } from 'node:fs/promises';
import { brotliCompressSync, constants } from 'node:zlib';
import { build } from 'esbuild';

const folder = new URL('.', import.meta.url);
const path = (name) => new URL(name, folder).pathname;
const budget = Number(process.argv[2]);

const common = {
  absWorkingDir: path('.'),
  bundle: true,
  charset: 'utf8',
  format: 'esm',
  legalComments: 'none',
  outdir: 'dist',
  target: 'es2022',
};
// The module beside the code is left to the runtime; the one within it becomes base64.
const beside = { ...common, external: ['./klstore.wasm', 'node:*'] };
await build({ ...beside, entryPoints: ['src/entry/browser.ts'], minify: true });
// Where it is not downloaded by a page, a stack trace is to be read.
await build({ ...beside, entryPoints: ['src/entry/node.ts', 'src/entry/workerd.ts'] });
await build({ ...common, entryPoints: ['src/entry/inline.ts'], minify: true, loader: { '.wasm': 'binary' } });
await copyFile(path('src/engine/klstore.wasm'), path('dist/klstore.wasm'));

// Of the types only the public ones.
const publicTypes = new Set(['index.d.ts', 'options.d.ts', 'types.d.ts', 'errors.d.ts']);
for (const name of await readdir(path('dist/types'))) {
  if (!publicTypes.has(name)) await rm(path(`dist/types/${name}`), { recursive: true });
}

const weigh = async (name) => {
  const bytes = await readFile(path(`dist/${name}`));
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: 11,
    [constants.BROTLI_PARAM_LGWIN]: 22,
    [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
  };
  return { name, plain: bytes.length, brotli: brotliCompressSync(bytes, { params }).length };
};
const parts = await Promise.all(['klstore.wasm', 'browser.js'].map(weigh));
for (const { name, plain, brotli } of parts) console.log(`${name}: ${plain} bytes, ${brotli} with brotli`);
const total = parts.reduce((sum, { brotli }) => sum + brotli, 0);
console.log(`what a page downloads: ${total} bytes with brotli, budget ${budget}`);
if (!(total <= budget)) {
  console.error('above the budget: look at what has grown, or make the budget in script/npm-pack larger and say why');
  process.exit(1);
}
