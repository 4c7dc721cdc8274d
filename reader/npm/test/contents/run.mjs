// What is in the package: these files and no others, with the licences of all that is compiled in.

import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { tarball } from '../lib/package.mjs';
import { run } from '../lib/processes.mjs';

const FILES = `
LICENSE-APACHE
LICENSE-MIT
README.md
THIRD-PARTY-LICENSES
dist/browser.js
dist/inline.js
dist/klstore.wasm
dist/node.js
dist/types/errors.d.ts
dist/types/index.d.ts
dist/types/options.d.ts
dist/types/types.d.ts
dist/workerd.js
package.json
`.trim().split('\n');
/** One of the choices that a crate gives has to be among these. */
const LICENSES = ['MIT', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'ISC', 'Unicode-3.0', '0BSD', 'Zlib'];
const repository = new URL('../../../../', import.meta.url).pathname;

const cases = {
  'these files, and no others': async ({ folder }) => {
    const names = await readdir(folder, { recursive: true, withFileTypes: true });
    const files = names.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name).slice(folder.length + 1));
    assert.deepEqual(files.sort(), FILES);
  },

  'the licence of every crate that is compiled in, with its text': async ({ folder }) => {
    const text = await readFile(join(folder, 'THIRD-PARTY-LICENSES'), 'utf8');
    const listed = new Map([...text.matchAll(/^(\S+ \d[\w.+-]*): (.+)\n {4}https:/gm)].map(([, crate, license]) => [crate, license]));
    assert.deepEqual([...listed.keys()].sort(), await compiledIn());
    const headings = [...text.matchAll(/^-{80}\n(.+):$/gm)].flatMap(([, crates]) => crates.split(', '));
    for (const [crate, license] of listed) {
      const choices = license.split(/ OR |\//).map((choice) => choice.replace(/[()]/g, '').split(' AND '));
      assert.ok(choices.some((parts) => parts.every((part) => LICENSES.includes(part.trim()))), `${crate} is under ${license}`);
      assert.ok(headings.includes(crate), `the text of the licence of ${crate} is missing`);
    }
    assert.match(text, /^The Rust standard library: /m);
    // What is compiled of C comes with a crate, and has a licence of its own.
    const holdsZstd = [...listed.keys()].some((crate) => crate.startsWith('zstd-sys '));
    assert.equal(/For Zstandard software/.test(text), holdsZstd);
  },

  'no code of other npm packages': async ({ folder }) => {
    // esbuild notes the file that each part of what is not minified came from.
    for (const name of ['node.js', 'workerd.js']) {
      const code = await readFile(join(folder, 'dist', name), 'utf8');
      const sources = [...code.matchAll(/^\/\/ (\S+\.(?:js|mjs|ts))$/gm)].map(([, path]) => path);
      assert.ok(sources.includes('src/store.ts'), `${name} does not say where its parts are from`);
      assert.deepEqual(sources.filter((path) => !path.startsWith('src/')), []);
    }
    const { dependencies, optionalDependencies, peerDependencies } = JSON.parse(await readFile(join(folder, 'package.json')));
    assert.deepEqual([dependencies, optionalDependencies, peerDependencies], [undefined, undefined, undefined]);
  },

  'nothing of the machine that it was built on': async ({ folder }) => {
    for (const name of FILES.filter((file) => file.startsWith('dist/'))) {
      const code = await readFile(join(folder, name), 'latin1');
      for (const trace of [repository, '/.cargo/', '/rustlib/', 'sourceMappingURL']) {
        assert.ok(!code.includes(trace), `${name} holds ${trace}`);
      }
    }
  },
};

export async function runPart({ tally }) {
  const unpacked = await mkdtemp(join(tmpdir(), 'klstore-npm-contents-'));
  try {
    await run('tar', ['-xzf', await tarball(), '-C', unpacked]);
    for (const [name, check] of Object.entries(cases)) {
      await tally.check(`contents: ${name}`, () => check({ folder: join(unpacked, 'package') }));
    }
  } finally {
    await rm(unpacked, { recursive: true, force: true });
  }
}

/** The crates that are not our own, as cargo names them: asked in another way than the list was written. */
async function compiledIn() {
  const which = ['-p', 'klstore-reader-wasm', '--target', 'wasm32-unknown-unknown', '-e', 'normal,no-proc-macro'];
  const tree = await run('cargo', ['tree', '--locked', ...which, '--prefix', 'none', '--format', '{p}'], { cwd: repository });
  const crates = new Set();
  for (const line of tree.trim().split('\n')) {
    const [, name, version, ours] = /^(\S+) v(\S+)( \(\/)?/.exec(line);
    if (!ours) crates.add(`${name} ${version}`);
  }
  return [...crates].sort();
}
