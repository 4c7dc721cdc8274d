import { runByCommand } from './command.mjs';

export const name = 'deno';

/** Made by the package's own `bin.cjs`, which `needs_npm_test_runtimes` runs once. */
export const command = new URL('../node_modules/deno/deno', import.meta.url).pathname;

/** With the permissions that the package's README names, and those of the cases' own configuration. */
export function runIn({ folder, config }) {
  const args = ['run', '--no-remote', '--node-modules-dir=manual', '--allow-net=localhost,127.0.0.1', '--allow-env'];
  return runByCommand(command, args, folder, config);
}
