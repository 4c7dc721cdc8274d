// Keys that expire, clocks that are wrong, and what may never be shown.

import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { AwsClient } from 'aws4fetch';

import { KEYSPACE } from '../conformance/data.mjs';
import { KEYS } from '../lib/s3.mjs';
import { answerOf } from './answers.mjs';

const HOUR = 3_600_000;

export const cases = {
  'a provider is asked once, and again before its keys expire': async ({ open }) => {
    const given = [];
    const lifetimes = [30_000, HOUR];
    const credentials = async ({ signal }) => {
      assert.ok(signal instanceof AbortSignal);
      given.push(Date.now());
      return { ...KEYS, expiration: new Date(Date.now() + lifetimes[given.length - 1]) };
    };
    const store = await open({ credentials, cache: { memory: 0 } });
    await store.stat(KEYSPACE);
    assert.ok(given.length >= 1);
    // The first ones expire within the minute: new ones are asked for before anything is signed again.
    await store.stat(KEYSPACE);
    assert.equal(given.length, 2);
    await Promise.all([store.stat(KEYSPACE), store.stat(KEYSPACE, 'bulk'), store.readPage(KEYSPACE, 'bulk')]);
    assert.equal(given.length, 2);
  },

  'keys that the store calls expired are asked for anew, once': async ({ open, front }) => {
    let asked = 0;
    const credentials = () => ({ ...KEYS, ...(++asked === 1 && { accessKeyId: 'AKOLD' }) });
    front.fault = ({ query }) =>
      query.get('X-Amz-Credential')?.startsWith('AKOLD') &&
      answerOf(400, 'ExpiredToken', 'The provided token has expired.');
    const store = await open({ credentials });
    assert.equal((await store.readPage(KEYSPACE, 'compacted')).items.length, 90);
    assert.equal(asked, 2);
  },

  'keys that stay expired end in a typed error, without asking for ever': async ({ open, front }) => {
    let asked = 0;
    const credentials = () => (asked++, KEYS);
    front.fault = () => answerOf(400, 'ExpiredToken', 'The provided token has expired.');
    const store = await open({ credentials });
    await assert.rejects(store.readPage(KEYSPACE, 'compacted'), { code: 'Credentials' });
    assert.equal(asked, 2);
  },

  'a provider that fails is the cause': async ({ open }) => {
    const reason = new Error('no session');
    const store = await open({ credentials: () => Promise.reject(reason) });
    const error = await store.stat(KEYSPACE).catch((failure) => failure);
    assert.equal(error.code, 'Credentials');
    assert.ok(causes(error).includes(reason));
  },

  'an abort ends the wait for a provider': async ({ open }) => {
    const store = await open({ credentials: () => new Promise(() => undefined) });
    const signal = AbortSignal.timeout(50);
    await assert.rejects(store.stat(KEYSPACE, { signal }), { name: 'TimeoutError' });
  },

  'a clock that is hours off is put right by what the store says': async ({ open, later }) => {
    const now = Date.now;
    later(() => (Date.now = now));
    for (const hours of [-30, -3, -0.4, 0.4, 3, 30]) {
      Date.now = () => now() + hours * HOUR;
      const store = await open();
      assert.equal((await store.readPage(KEYSPACE, 'compacted')).items.length, 90, `${hours} hours`);
    }
  },

  'a presigner signs in the place of keys': async ({ open, front }) => {
    // As a server would: by its own keys, and with another library.
    const client = new AwsClient({ ...KEYS, service: 's3', region: 'us-east-1' });
    const presign = async ({ url }) => (await client.sign(url, { aws: { signQuery: true } })).url;
    const store = await open({ credentials: undefined, presign });
    assert.equal((await store.readPage(KEYSPACE, 'compacted')).items.length, 90);
    assert.ok(front.requests.every(({ method, query }) => method === 'GET' && query.has('X-Amz-Signature')));
    const reason = new Error('you are not logged in');
    const refused = await open({ credentials: undefined, presign: () => Promise.reject(reason), retry: { attempts: 1 } });
    await assert.rejects(refused.stat(KEYSPACE), (error) => error.message.includes(reason.message));
  },

  'a presigner is asked for each request, and for nothing else': async ({ open, front }) => {
    const { origin } = new URL(front.endpoint);
    const asked = [];
    const presign = ({ method, url, signal }) => {
      asked.push({ method, url: String(url), signal });
      return url;
    };
    const store = await open({ credentials: undefined, presign });
    // Nobody signs here, and so the store refuses: what counts is who was asked.
    await assert.rejects(store.stat(KEYSPACE), (error) => ['AccessDenied', 'Credentials'].includes(error.code));
    assert.ok(asked.length > 0);
    for (const { method, url, signal } of asked) {
      assert.equal(method, 'GET');
      assert.ok(url.startsWith(origin));
      assert.doesNotMatch(url, /X-Amz/);
      assert.ok(signal instanceof AbortSignal);
    }
  },

  'no error, however it is looked at, shows keys or signatures': async ({ open, front }) => {
    const faults = {
      'a refusal that repeats the request': ({ query }) =>
        answerOf(403, 'SignatureDoesNotMatch', `The signature ${query.get('X-Amz-Signature')} of ${query.get('X-Amz-Credential')} is wrong`),
      'a refusal of another kind': ({ query }) => answerOf(400, 'InvalidRequest', `X-Amz-Signature=${query.get('X-Amz-Signature')}`),
      'an error of the store': () => answerOf(500, 'InternalError', 'We encountered an internal error.'),
      'a closed connection': () => ({ change: () => Promise.reject(new Error('closed')) }),
      'no XML': ({ query }) => ({ status: 403, headers: {}, body: `<html>${query}</html>` }),
    };
    for (const [what, fault] of Object.entries(faults)) {
      front.reset();
      front.fault = fault;
      const token = 'a-session-token-that-no-error-may-show';
      const store = await open({ credentials: { ...KEYS, sessionToken: token }, retry: { attempts: 2, deadline: 3_000 } });
      const error = await store.readPage(KEYSPACE, 'compacted').catch((failure) => failure);
      assert.ok(error instanceof Error && typeof error.code === 'string', what);
      const seen = [inspect(error, { depth: 20, showHidden: true }), JSON.stringify(error), error.stack, ...causes(error).map(String)].join();
      const { query } = front.requests[0];
      for (const secret of [KEYS.secretAccessKey, token, query.get('X-Amz-Signature')]) {
        assert.ok(!seen.includes(secret), `${what}: ${secret} is in ${seen}`);
      }
    }
  },
};

function causes(error) {
  const found = [];
  for (let next = error?.cause; next !== undefined && found.length < 20; next = next.cause) found.push(next);
  return found;
}
