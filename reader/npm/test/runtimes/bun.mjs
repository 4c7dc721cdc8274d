import { runByCommand } from './command.mjs';

export const name = 'bun';

/** Made by the package's own `install.js`, which `needs_npm_test_runtimes` runs. */
export const command = new URL('../node_modules/bun/bin/bun.exe', import.meta.url).pathname;

export function runIn({ folder, config }) {
  return runByCommand(command, ['run'], folder, config);
}
