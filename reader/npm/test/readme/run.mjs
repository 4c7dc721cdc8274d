// The package's README is what people copy from: its code is taken from it as it stands, and run.

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Miniflare } from 'miniflare';

import { fillFlights, newest } from '../lib/flights.mjs';
import { installed } from '../lib/package.mjs';
import { run, start } from '../lib/processes.mjs';
import { copyObjects } from '../lib/r2.mjs';
import { KEYS, program, startS3 } from '../lib/s3.mjs';
import { startSite } from '../lib/site.mjs';
import { bundleWorker } from '../lib/workerd.mjs';

/** In their order in the README: code that is not among them is code that nobody runs. */
const SNIPPETS = [
  ['five minutes', fiveMinutes],
  ['keys from a provider', provider],
  ["a Worker's R2 binding", r2Binding],
];

/** `open`, at the store of this test instead of AWS. */
const HERE = `import { open as openThere } from 'klstore';
const { endpoint, credentials } = JSON.parse(process.env.OPTIONS);
export const open = (options) =>
  openThere({ ...options, endpoint, credentials: typeof options.credentials === 'function' ? options.credentials : credentials });
`;

export async function runPart({ tally, one }) {
  const text = await readFile(new URL('../../README.md', import.meta.url), 'utf8');
  const codes = [...text.matchAll(/^```js\n(.*?)^```$/gms)].map(([, code]) => code);
  await tally.check('README: all of its code is run', () => assert.equal(codes.length, SNIPPETS.length));
  const s3 = await startS3({ bucket: 'my-bucket', anonymousRead: true });
  const app = await installed();
  try {
    await fillFlights(s3);
    await s3.createKeyspace('rooms');
    await writeFile(join(app.folder, 'here.mjs'), HERE);
    const t = { s3, folder: app.folder };
    for (const [number, [name, check]] of SNIPPETS.entries()) {
      if (!one || name.includes(one)) await tally.check(`README: ${name}`, () => check(t, codes[number]));
    }
    await tally.check('README: the store to try it with', () => storeToTry(text));
    await tally.check('README: the CORS rule', () => corsRule(text));
  } finally {
    await s3.stop();
    await app.remove();
  }
}

async function fiveMinutes({ s3, folder }, code) {
  const around = (snippet) => `
    const controller = new AbortController();
    const shown = [];
    globalThis.signal = controller.signal;
    globalThis.show = (message) => shown.push(message) === 2 && controller.abort();
    await import(${JSON.stringify(snippet)}).catch((reason) => {
      if (reason !== controller.signal.reason) throw reason;
    });
    console.log(JSON.stringify(shown));
    process.exit();
  `;
  const appending = new AbortController();
  const appended = appendUntil(appending.signal, s3);
  const lines = (await runHere({ s3, folder }, code, around).finally(() => appending.abort())).trim().split('\n');
  await appended;
  const shown = JSON.parse(lines.pop());
  assert.equal(shown.length, 2);
  assert.equal(shown[1].message, shown[0].message + 1);
  assert.equal(lines.length, 20);
  newest(20).forEach((text, number) => assert.ok(lines[number].endsWith(text), lines[number]));
}

/** A message now and then, so that whoever follows sees some. */
async function appendUntil(signal, s3) {
  for (let number = 0; !signal.aborted; number++) {
    const value = Buffer.from(JSON.stringify({ message: number }));
    await s3.append('rooms', '7', [{ nonce: BigInt(number), timestamp: 0n, value }]);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

async function provider({ s3, folder }, code) {
  let asked = 0;
  const keys = () => {
    asked += 1;
    return { type: 'application/json', text: JSON.stringify({ ...KEYS, expiration: new Date(Date.now() + 3_600_000) }) };
  };
  const site = await startSite(folder, { '/keys': keys });
  try {
    const before = `
      import { open } from 'klstore';
      const [bucket, region] = ['my-bucket', 'us-east-1'];
      const fetch = (path, init) => globalThis.fetch(new URL(path, '${site.origin}'), init);
    `;
    const after = "console.log((await store.stat('flights', 'N14228')).itemCount);";
    assert.equal((await runHere({ s3, folder }, before + code + after)).trim(), '365n');
    assert.equal(asked, 1);
  } finally {
    await site.stop();
  }
}

async function runHere({ s3, folder }, code, around = (snippet) => `import ${JSON.stringify(snippet)};`) {
  await writeFile(join(folder, 'snippet.mjs'), code.replace("from 'klstore'", "from './here.mjs'"));
  await writeFile(join(folder, 'main.mjs'), around('./snippet.mjs'));
  return run(process.execPath, ['main.mjs'], { cwd: folder, env: { OPTIONS: JSON.stringify(s3.options) }, milliseconds: 60_000 });
}

async function r2Binding({ s3, folder }, code) {
  const worker = `
    import { open } from 'klstore';
    export default {
      async fetch(request, env) {
        ${code}
        const store = await open({ source });
        const texts = [];
        for await (const item of store.items('flights', 'N14228', { order: 'backwards', pageSize: 100 })) texts.push(item.text());
        const keys = [];
        for await (const key of store.keys('flights')) keys.push(key);
        return Response.json({ texts, keys, none: await store.stat('flights', 'nothing') });
      },
    };
  `;
  await writeFile(join(folder, 'r2.mjs'), worker);
  const [script, module] = await bundleWorker(folder, 'r2.mjs');
  const modules = [
    { type: 'ESModule', path: join(folder, script) },
    { type: 'CompiledWasm', path: join(folder, module) },
  ];
  const miniflare = new Miniflare({
    modules,
    modulesRoot: join(folder, 'bundled'),
    compatibilityDate: '2026-04-01',
    r2Buckets: { BUCKET: 'lists' },
  });
  try {
    await copyObjects(s3, await miniflare.getR2Bucket('BUCKET'));
    const answer = await miniflare.dispatchFetch('http://worker/');
    assert.deepEqual(await answer.json(), { texts: newest(365), keys: ['N14228'], none: null });
  } finally {
    await miniflare.dispose();
  }
}

/** The commands as they stand, but for a port that is free and a folder that goes away. */
async function storeToTry(text) {
  const commands = /^```sh\n([^`]*klstore s3 [^`]*)^```$/m.exec(text)[1].replace('klstore s3', `exec "${program}" s3 --addr 127.0.0.1:0`);
  const cwd = await mkdtemp(join(tmpdir(), 'klstore-npm-readme-'));
  const server = await start('sh', ['-ec', commands], { cwd, isReady: (said) => /http:\/\/[\d.:]+/.exec(said)?.[0] });
  try {
    assert.equal((await fetch(`${server.ready}/demo?list-type=2`, { headers: { origin: 'http://page' } })).status, 200);
  } finally {
    await server.stop();
    await rm(cwd, { recursive: true });
  }
}

function corsRule(text) {
  const [rule, ...others] = JSON.parse(/^```json\n(.*?)^```$/ms.exec(text)[1]);
  assert.deepEqual(others, []);
  assert.deepEqual(Object.keys(rule).sort(), ['AllowedHeaders', 'AllowedMethods', 'AllowedOrigins', 'ExposeHeaders']);
  assert.deepEqual(rule.AllowedMethods, ['GET']);
  assert.ok(rule.ExposeHeaders.includes('ETag'));
}
