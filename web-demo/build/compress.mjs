// Puts FILE.br and FILE.gz beside each file of the built page, and weighs a first load: the page and what it names, which
// is all that it fetches until a user opens something. Fails above the budget.
//
//   node build/compress.mjs dist

import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const BUDGET_BYTES = 200 * 1000;

const folder = process.argv[2] ?? 'dist';
const compressed = /\.(?:br|gz)$/;
const files = (await readdir(folder, { recursive: true, withFileTypes: true }))
  .filter((entry) => entry.isFile() && !compressed.test(entry.name))
  .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
  .sort();

const page = await readFile(join(folder, 'index.html'), 'utf8');
const isFirst = (file) => file.endsWith('index.html') || page.includes(`./${relative(folder, file)}"`);

let total = 0;
for (const file of files) {
  const bytes = await readFile(file);
  const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length };
  const brotli = brotliCompressSync(bytes, { params });
  await writeFile(`${file}.br`, brotli);
  await writeFile(`${file}.gz`, gzipSync(bytes, { level: 9 }));
  if (isFirst(file)) total += brotli.length;
  const when = isFirst(file) ? 'first load' : 'later';
  console.log(`${String(bytes.length).padStart(8)} ${String(brotli.length).padStart(7)}  ${when.padEnd(10)} ${file}`);
}
console.log(`first load: ${total} bytes with brotli, budget ${BUDGET_BYTES}`);
if (total > BUDGET_BYTES) {
  console.error('above the budget: look at what has grown');
  process.exit(1);
}
