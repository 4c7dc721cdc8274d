// Where the pictures of a run go.

import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

const folder = new URL('../output', import.meta.url).pathname;

export async function beginOutput() {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  return folder;
}

export function pictureFile(name) {
  return join(folder, `${name.replaceAll(/[^A-Za-z0-9]+/g, '-')}.png`);
}
