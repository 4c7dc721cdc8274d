import assert from 'node:assert/strict';

import { FLIGHTS, newest } from '../lib/flights.mjs';
import { run, start } from '../lib/processes.mjs';
import { BUCKET, KEYS } from '../lib/s3.mjs';

const names = [FLIGHTS.keyspace, FLIGHTS.key];

export const cases = {
  'the newest items': async (t) => {
    const lines = await list(t, names);
    assert.deepEqual(lines.map(([, , text]) => text), newest(20));
    assert.deepEqual(lines[0].slice(0, 2), ['364', '2013-12-31T10:00:00.000Z']);
  },

  'all since a day': async (t) => {
    const lines = await list(t, [...names, '--since', '2013-12-01']);
    assert.deepEqual(lines.map(([, , text]) => text), newest(31).reverse());
  },

  'what is appended from now on': async ({ s3, folder, front, later }) => {
    const env = environment(front.endpoint);
    const item = (number) => ({ nonce: BigInt(number), timestamp: 0n, value: Buffer.from(`live ${number}`) });
    await s3.append(FLIGHTS.keyspace, 'live', [item(0)]);
    // Ready once it has looked for the end of the list, which is when the first request has been answered.
    const following = start(process.execPath, ['list.mjs', FLIGHTS.keyspace, 'live', '--follow'], {
      cwd: folder,
      env,
      isReady: (said) => /live 1/.exec(said)?.[0],
      milliseconds: 20_000,
    });
    following.catch(() => undefined);
    while (!front.requests.some(({ ended }) => ended < Infinity)) await new Promise((resolve) => setTimeout(resolve, 20));
    await new Promise((resolve) => setTimeout(resolve, 500));
    await s3.append(FLIGHTS.keyspace, 'live', [item(1)]);
    const { stop, child } = await following;
    later(stop);
    const ended = new Promise((resolve) => child.once('close', resolve));
    child.kill('SIGINT');
    assert.equal(await ended, 0);
  },

  'a mistake is a sentence': async (t) => {
    await assert.rejects(list(t, ['nothing', 'here']), (error) => {
      assert.match(error.message, /KeyspaceNotFound: /);
      assert.doesNotMatch(error.message, /at file:/);
      return true;
    });
  },
};

async function list({ folder, front }, args) {
  const said = await run(process.execPath, ['list.mjs', ...args], { cwd: folder, env: environment(front.endpoint) });
  assert.ok(front.requests.every(({ query }) => query.has('X-Amz-Signature')), 'it signs');
  assert.equal(front.count('OPTIONS'), 0);
  return said.trimEnd().split('\n').map((line) => line.split('\t'));
}

function environment(endpoint) {
  const { accessKeyId, secretAccessKey } = KEYS;
  return {
    KLSTORE_BUCKET: BUCKET,
    KLSTORE_ENDPOINT: endpoint,
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
  };
}
