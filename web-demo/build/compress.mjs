// Puts FILE.br and FILE.gz beside each file of the built page, and weighs a first load: everything that there is. Fails
// above the budget.
//
//   node build/compress.mjs dist

import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const BUDGET_BYTES = 200 * 1000;

const folder = process.argv[2] ?? 'dist';
const compressed = /\.(?:br|gz)$/;
const files = (await readdir(folder, { recursive: true, withFileTypes: true }))
  .filter((entry) => entry.isFile() && !compressed.test(entry.name))
  .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
  .sort();

let total = 0;
for (const file of files) {
  const bytes = await readFile(file);
  const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length };
  const brotli = brotliCompressSync(bytes, { params });
  await writeFile(`${file}.br`, brotli);
  await writeFile(`${file}.gz`, gzipSync(bytes, { level: 9 }));
  total += brotli.length;
  console.log(`${String(bytes.length).padStart(8)} ${String(brotli.length).padStart(7)}  ${file}`);
}
console.log(`first load: ${total} bytes with brotli, budget ${BUDGET_BYTES}`);
if (total > BUDGET_BYTES) {
  console.error('above the budget: look at what has grown');
  process.exit(1);
}
