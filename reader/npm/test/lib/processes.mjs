// Processes of a test run: each is stopped by its own id, whatever happens.

import { spawn } from 'node:child_process';

const running = new Set();

process.on('exit', stopAll);
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    stopAll();
    process.exit(1);
  });
}

function stopAll() {
  for (const child of running) child.kill('SIGKILL');
}

/** Starts a program that goes on until it is stopped. Resolves with `{ child, ready, stop }` once `isReady` answers a line. */
export async function start(command, args, { env, cwd, isReady, milliseconds = 60_000, stdio = ['ignore', 'pipe', 'pipe'] }) {
  const child = spawn(command, args, { env: { ...process.env, ...env }, cwd, stdio });
  running.add(child);
  const ended = new Promise((resolve) => child.once('close', resolve));
  ended.then(() => running.delete(child));
  let said = '';
  const ready = await new Promise((resolve, reject) => {
    const fail = (reason) => reject(new Error(`${command} ${args.join(' ')}: ${reason}\n${said.slice(-4_000)}`));
    const timer = setTimeout(() => fail(`not ready after ${milliseconds} ms`), milliseconds);
    const look = (data) => {
      said += data;
      const found = isReady(said);
      if (found === undefined) return;
      clearTimeout(timer);
      resolve(found);
    };
    for (const stream of child.stdio.slice(1)) stream?.on('data', look);
    child.once('error', fail);
    ended.then((code) => fail(`ended with ${code}`));
  });
  const stop = async () => {
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), 5_000);
    await ended;
    clearTimeout(timer);
  };
  return { child, ready, stop };
}

/** Runs a program to its end and answers its stdout; an error with what it said where it fails. */
export async function run(command, args, { env, cwd, input, milliseconds = 300_000 } = {}) {
  const child = spawn(command, args, { env: { ...process.env, ...env }, cwd, stdio: ['pipe', 'pipe', 'pipe'] });
  running.add(child);
  const output = [];
  const errors = [];
  child.stdout.on('data', (data) => output.push(data));
  child.stderr.on('data', (data) => errors.push(data));
  // A program that has seen enough closes its stdin.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const timer = setTimeout(() => child.kill('SIGKILL'), milliseconds);
  const code = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status, signal) => resolve(status ?? signal));
  });
  clearTimeout(timer);
  running.delete(child);
  const text = Buffer.concat(output).toString();
  if (code !== 0) {
    const said = `${text}\n${Buffer.concat(errors)}`.slice(-4_000);
    throw new Error(`${command} ${args.join(' ')} ended with ${code}:\n${said}`);
  }
  return text;
}
