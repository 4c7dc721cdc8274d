// Folders that have the packed package installed, as its users would.

import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { run } from './processes.mjs';

const packageFolder = new URL('../../', import.meta.url).pathname;

/** The newest tarball that script/npm-pack left, or the one that KLSTORE_NPM_TARBALL names. */
export async function tarball() {
  const named = process.env.KLSTORE_NPM_TARBALL;
  if (named) return named;
  const { version } = JSON.parse(await readFile(join(packageFolder, 'package.json')));
  const path = join(packageFolder, `klstore-${version}.tgz`);
  if (!existsSync(path)) throw new Error(`${path} is missing: run script/npm-pack`);
  return path;
}

/**
 * A copy of `source` in a temporary folder, with what its lock file names and the packed package installed.
 * Answers `{ folder, remove }`.
 */
export async function installed(source, { without = [] } = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'klstore-npm-app-'));
  const skipped = new Set(['node_modules', ...without]);
  if (source) {
    for (const name of await readdir(source)) {
      if (!skipped.has(name)) await cp(join(source, name), join(folder, name), { recursive: true });
    }
  }
  await withoutKlstore(join(folder, 'package.json'));
  if (!existsSync(join(folder, 'package.json'))) {
    await writeFile(join(folder, 'package.json'), '{ "name": "app", "private": true, "type": "module" }\n');
  }
  // What its lock file names, and the package beside it.
  const options = ['--no-save', '--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts'];
  await run('npm', ['install', ...options, await tarball()], { cwd: folder });
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) };
}

/** An example depends on the published package; here it is given the packed one. */
async function withoutKlstore(path) {
  if (!existsSync(path)) return;
  const { dependencies: { klstore, ...dependencies } = {}, ...others } = JSON.parse(await readFile(path));
  await writeFile(path, JSON.stringify({ ...others, dependencies }));
}
