import process from 'node:process';

import { runByCommand } from './command.mjs';

export const name = 'node';

export function runIn({ folder, config }) {
  return runByCommand(process.execPath, [], folder, config);
}
