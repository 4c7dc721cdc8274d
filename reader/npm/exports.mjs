// Which exports of a module the glue uses, for wasm-metadce: what C code brings for its own use is not for a page.
//
//   node exports.mjs MODULE GLUE > GRAPH

import { readFileSync } from 'node:fs';

const [module, glue] = process.argv.slice(2).map((path) => readFileSync(path));
const code = glue.toString();
const graph = WebAssembly.Module.exports(new WebAssembly.Module(module)).map(({ name }) => {
  const root = new RegExp(`\\bwasm\\.${name.replaceAll('$', '\\$')}\\b`).test(code);
  return { name: `export ${name}`, export: name, ...(root && { root }) };
});
if (!graph.some(({ root }) => root)) throw new Error('the glue uses none of the exports: it is written in another way');
console.log(JSON.stringify(graph));
