// Whole lists read from memory in the browser against the native reader on the same objects: what decoding costs there.
//
//   script/bench-decode [--pairs N] [--items N] [--json FILE]
//
// One list for each codec, of the flights' rows, compacted. Pairs are interleaved; a ratio is the browser's throughput
// through the native one. `module` counts only the time in WebAssembly (requests, checks, decoding, columns), `page` all
// until JavaScript has its items. Both sides run on one core and read pages of 4,000 items without a cache.

import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

import { launch, pageAt } from '../test/lib/browser.mjs';
import { installed } from '../test/lib/package.mjs';
import { run } from '../test/lib/processes.mjs';
import { BUCKET, startS3 } from '../test/lib/s3.mjs';
import { startSite } from '../test/lib/site.mjs';

const { values: given } = parseArgs({
  options: {
    pairs: { type: 'string', default: '15' },
    items: { type: 'string', default: '200000' },
    json: { type: 'string' },
  },
});
const PAIRS = Number(given.pairs);
const ITEMS = Number(given.items);
const BATCH = 2_000;
const KEYSPACE = 'bench';
const GOAL = 0.5;
const native = process.env.KLSTORE_DECODE_NATIVE;

const PAGE = `<!doctype html>
<meta charset="utf-8">
<title>klstore decode</title>
<script type="importmap">{ "imports": { "klstore": "/node_modules/klstore/dist/browser.js" } }</script>
<script type="module" src="/bench.js"></script>
`;

const SCRIPT = `
import { open } from 'klstore';

// Time in the module: every call into an export of it, the outermost one.
let inside = 0;
let depth = 0;
const instantiate = WebAssembly.instantiate;
WebAssembly.instantiate = async (...given) => {
  const made = await instantiate(...given);
  const instance = made.instance ?? made;
  const exports = {};
  for (const [name, value] of Object.entries(instance.exports)) {
    exports[name] = typeof value !== 'function' ? value : (...args) => {
      if (depth > 0) return value(...args);
      depth = 1;
      const began = performance.now();
      try {
        return value(...args);
      } finally {
        inside += performance.now() - began;
        depth = 0;
      }
    };
  }
  const wrapped = Object.create(WebAssembly.Instance.prototype, { exports: { value: exports } });
  return made.instance ? { module: made.module, instance: wrapped } : wrapped;
};

const stores = new Map();

window.load = async (codec, names) => {
  const objects = new Map();
  for (const name of names) {
    objects.set(name, new Uint8Array(await (await fetch('/objects/' + codec + '/' + encodeURIComponent(encodeURIComponent(name)))).arrayBuffer()));
  }
  const sorted = [...objects.keys()].sort();
  const source = {
    async list({ prefix, startAfter, maxKeys }) {
      const found = sorted.filter((name) => name.startsWith(prefix) && (startAfter === undefined || name > startAfter));
      return { objects: found.slice(0, maxKeys).map((key) => ({ key, etag: 'e' + objects.get(key).length, size: objects.get(key).length })), truncated: found.length > maxKeys };
    },
    async get({ key, range }) {
      const body = objects.get(key);
      if (!body || (range && range.start >= body.length)) return null;
      return { body: range ? body.subarray(range.start, range.end) : body, etag: 'e' + body.length, size: body.length };
    },
  };
  stores.set(codec, await open({ source, cache: { memory: 0 } }));
};

window.scan = async (codec) => {
  const store = stores.get(codec);
  inside = 0;
  const began = performance.now();
  let items = 0;
  let bytes = 0;
  let continuation;
  do {
    const page = await store.readPage('${KEYSPACE}', codec, { maxItems: 4000, continuation });
    items += page.items.length;
    for (const item of page.items) bytes += item.value.length;
    continuation = page.continuation ?? undefined;
  } while (continuation);
  return { items, bytes, page: (performance.now() - began) / 1000, module: inside / 1000 };
};
`;

async function flights() {
  const lines = (await run(native, ['--rows'])).split('\n').filter((line) => line !== '');
  return Array.from({ length: ITEMS }, (_, number) => lines[number % lines.length]);
}

async function measure(page, codec, lines) {
  for (let start = 0; start < lines.length; start += BATCH * 20) {
    const items = lines.slice(start, start + BATCH * 20).map((value, at) => ({ timestamp: BigInt(1_357_034_400_000 + start + at), value }));
    await s3.append(KEYSPACE, codec, items, { codec });
  }
  await s3.klstore(['compact', KEYSPACE, codec]);
  const here = join(objectsFolder, codec);
  await mkdir(here);
  const names = await download(here);
  await mkdir(join(folder, 'objects'), { recursive: true });
  await run('cp', ['-r', here, join(folder, 'objects', codec)]);
  await page.evaluate(([codec, names]) => window.load(codec, names), [codec, names]);
  const reader = new Native(here, codec);
  const pairs = [];
  for (let pair = -2; pair < PAIRS; pair++) {
    const there = await page.evaluate((codec) => window.scan(codec), codec);
    const native = await reader.scan();
    if (there.items !== ITEMS || native.items !== ITEMS || there.bytes !== native.bytes) {
      throw new Error(`${codec}: ${JSON.stringify({ there, native })} of ${ITEMS}`);
    }
    if (pair >= 0) pairs.push({ ...there, native: native.seconds });
  }
  reader.stop();
  const megabytes = pairs[0].bytes / 1e6;
  return ['module', 'page'].map((what) => {
    const ratios = pairs.map((pair) => pair.native / pair[what]);
    return {
      name: `wasm decode ${codec}, ${what} / native`,
      ours: megabytes / quantile(pairs.map((pair) => pair[what]), 0.5),
      reference: megabytes / quantile(pairs.map((pair) => pair.native), 0.5),
      unit: 'MB/s',
      ratio: quantile(ratios, 0.5),
      p10: quantile(ratios, 0.1),
      p90: quantile(ratios, 0.9),
      goal: what === 'module' ? GOAL : null,
    };
  });
}

/** All objects into files; answers their names. */
async function download(into) {
  const bucket = `${s3.endpoint}/${BUCKET}`;
  const answer = await (await fetch(`${bucket}/?list-type=2&prefix=${KEYSPACE}%2F`)).text();
  if (answer.includes('<IsTruncated>true')) throw new Error('more objects than one LIST answers: ask for fewer items');
  const names = [...answer.matchAll(/<Key>([^<]*)<\/Key>/g)].map(([, name]) => name);
  for (const name of names) {
    const body = await (await fetch(`${bucket}/${name}`)).arrayBuffer();
    await writeFile(join(into, encodeURIComponent(name)), new Uint8Array(body));
  }
  return names;
}

class Native {
  #child;
  #lines;

  constructor(objects, key) {
    this.#child = spawn(native, [objects, KEYSPACE, key], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface(this.#child.stdout)[Symbol.asyncIterator]();
  }

  async scan() {
    this.#child.stdin.write('\n');
    const { value, done } = await this.#lines.next();
    if (done) throw new Error('the native reader ended');
    return JSON.parse(value);
  }

  stop() {
    this.#child.stdin.end();
  }
}

function quantile(numbers, at) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.round(at * (sorted.length - 1))];
}

function print(rows) {
  console.log(`bucket ${BUCKET}, ${ITEMS} items, ${PAIRS} pairs`);
  for (const { name, ours, reference, unit, ratio, p10, p90, goal } of rows) {
    const number = (value, digits = 1) => value.toFixed(digits).padStart(8);
    console.log(`${name.padEnd(36)}${number(ours)}${number(reference)} ${unit}  ${ratio.toFixed(2)} (${p10.toFixed(2)} to ${p90.toFixed(2)}), goal ${goal ?? '-'}`);
  }
}

const s3 = await startS3({ origins: ['*'], anonymousRead: true });
const { folder, remove } = await installed();
const objectsFolder = await mkdtemp(join(tmpdir(), 'klstore-decode-'));
const rows = [];
try {
  await s3.createKeyspace(KEYSPACE);
  const lines = await flights();
  await writeFile(join(folder, 'index.html'), PAGE);
  await writeFile(join(folder, 'bench.js'), SCRIPT);
  const site = await startSite(folder);
  const browser = await launch();
  try {
    const { page } = await pageAt(browser, `${site.origin}/index.html`);
    await page.waitForFunction(() => 'scan' in window);
    for (const codec of ['none', 'lz4', 'zstd']) rows.push(...(await measure(page, codec, lines)));
  } finally {
    await browser.close();
    await site.stop();
  }
} finally {
  await s3.stop();
  await remove();
  await rm(objectsFolder, { recursive: true, force: true });
}
print(rows);
if (given.json) await writeFile(given.json, `${JSON.stringify(rows, null, 2)}\n`);
if (rows.some(({ ratio, goal }) => goal !== null && ratio < goal)) process.exitCode = 1;
