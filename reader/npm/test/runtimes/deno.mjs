import { runByCommand } from './command.mjs';

export const name = 'deno';

/** With the permissions that the package's README names, and those of the cases' own configuration. */
export function runIn({ folder, config }) {
  const command = new URL('../long/node_modules/deno/bin.cjs', import.meta.url).pathname;
  const args = ['run', '--no-remote', '--node-modules-dir=manual', '--allow-net=localhost,127.0.0.1', '--allow-env'];
  return runByCommand(command, args, folder, config);
}
