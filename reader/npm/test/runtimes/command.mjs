// Runtimes that are a command which runs a module.

import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';

import { run } from '../lib/processes.mjs';

/** Runs all cases by `command ...args entry.mjs` in a folder that has the package and the cases in it. */
export async function runByCommand(command, args, folder, config) {
  await copyFile(new URL('entry.mjs', import.meta.url), join(folder, 'entry.mjs'));
  const env = { KLSTORE_TEST_CONFIG: JSON.stringify(config) };
  const output = await run(command, [...args, 'entry.mjs'], { cwd: folder, env });
  return JSON.parse(output.trim().split('\n').at(-1));
}
