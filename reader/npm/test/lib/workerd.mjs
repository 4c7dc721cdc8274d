// Cloudflare's workerd with one Worker, bundled as wrangler does it: the wasm module stays a file beside the code.

import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';
import workerd from 'workerd';

import { start } from './processes.mjs';

/** Bundles a Worker in a folder that has the package installed; answers the modules' names, the main one first. */
export async function bundleWorker(folder, entry) {
  await build({
    absWorkingDir: folder,
    entryPoints: { worker: entry },
    bundle: true,
    format: 'esm',
    outdir: 'bundled',
    conditions: ['workerd', 'worker', 'browser'],
    loader: { '.wasm': 'copy' },
    logLevel: 'silent',
  });
  const names = await readdir(join(folder, 'bundled'));
  return ['worker.js', ...names.filter((name) => name.endsWith('.wasm'))].map((name) => join('bundled', name));
}

/** Starts the Worker that `entry` in `folder` is at a free port of 127.0.0.1. `bindings` are texts by name. */
export async function startWorker(folder, entry, bindings = {}) {
  const modules = (await bundleWorker(folder, entry)).map((path) => {
    const kind = path.endsWith('.wasm') ? 'wasm' : 'esModule';
    return `(name = ${quoted(path.replace('bundled/', ''))}, ${kind} = embed ${quoted(path)})`;
  });
  const texts = Object.entries(bindings).map(([name, text]) => `(name = ${quoted(name)}, text = ${quoted(text)})`);
  const config = `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (
      modules = [${modules.join(', ')}],
      bindings = [${texts.join(', ')}],
      compatibilityDate = ${quoted(workerd.compatibilityDate ?? '2026-04-01')},
      globalOutbound = "network",
    )),
    (name = "network", network = (allow = ["public", "private", "local"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
`;
  await writeFile(join(folder, 'workerd.capnp'), config);
  const { ready, stop } = await start(workerd.default ?? workerd, ['serve', 'workerd.capnp', '--control-fd=3'], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    isReady: (said) => /"event":"listen","socket":"http","port":(\d+)/.exec(said)?.[1],
  });
  return { url: `http://127.0.0.1:${ready}/`, stop };
}

function quoted(text) {
  return JSON.stringify(text);
}
