// Runs the cases in whatever runtime this is.

import { cases } from './cases.mjs';

/** A case that hangs fails; a slow machine does not. */
const CASE_MILLISECONDS = 60_000;

/**
 * Runs each case on a store of its own. `open` is the package's, `config` what run.mjs says of the store:
 * `{ options, control, runtime }`. Answers `[{ name, milliseconds, error? }]`.
 */
export async function runCases(open, config, only) {
  const results = [];
  for (const { name, run } of cases) {
    if (only && !name.includes(only)) continue;
    const began = Date.now();
    const error = await outcomeOf(open, config, run);
    results.push({ name, milliseconds: Date.now() - began, ...(error && { error }) });
  }
  return results;
}

async function outcomeOf(open, { options, control, runtime }, run) {
  const opened = [];
  const opener = async (more) => {
    const store = await open({ ...options, ...more });
    opened.push(store);
    return store;
  };
  /** Has the driver append `count` items from item `first` on. */
  const append = async (key, first, count) => {
    const url = `${control}/append?${new URLSearchParams({ key, first, count })}`;
    const response = await fetch(url, { method: 'POST' });
    if (!response.ok) throw new Error(`the driver did not append: ${await response.text()}`);
  };
  let timer;
  const tooLong = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no end after ${CASE_MILLISECONDS} ms`)), CASE_MILLISECONDS);
  });
  try {
    const body = async () => run({ store: await opener(), open: opener, options, append, runtime });
    await Promise.race([body(), tooLong]);
    return undefined;
  } catch (error) {
    return String(error?.stack ?? error);
  } finally {
    clearTimeout(timer);
    for (const store of opened) store.close();
  }
}
