import { runByCommand } from './command.mjs';

export const name = 'bun';

/** The command is made by bun's own `install.js`, which script/test-long runs. */
export function runIn({ folder, config }) {
  const command = new URL('../long/node_modules/bun/bin/bun.exe', import.meta.url).pathname;
  return runByCommand(command, ['run'], folder, config);
}
