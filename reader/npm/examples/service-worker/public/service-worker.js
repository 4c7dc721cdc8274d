// The service worker: signs what the page asks the store for. Its keys come from this site's server, for whoever is
// logged in there, and stay in its memory.

import { AwsV4Signer } from './aws4fetch.js';

/** As klstore signs by itself: for some minutes the same object has the same URL, which the HTTP cache needs. */
const QUANTUM_SECONDS = 600;
const EXPIRES_SECONDS = QUANTUM_SECONDS + 300;
/** New keys are asked for so long before the old ones expire. */
const EARLY_MILLISECONDS = 60_000;

self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));
self.addEventListener('message', ({ data }) => {
  if (data === 'claim') self.clients.claim();
});

let store;
self.addEventListener('fetch', (event) => {
  const { request } = event;
  // What is of this site is not for the store.
  if (request.method === 'GET' && new URL(request.url).origin !== self.location.origin) event.respondWith(answer(request));
});

async function answer(request) {
  store ??= (await fetch('/store.json')).json();
  const { endpoint, bucket, region } = await store;
  const url = new URL(request.url);
  if (url.origin !== new URL(endpoint).origin || !`${url.pathname}/`.startsWith(`/${bucket}/`)) return fetch(request);
  const range = request.headers.get('range');
  // A plain GET with nothing but a range: no preflight.
  return fetch(await signed(url, region), {
    headers: range ? { range } : {},
    mode: 'cors',
    credentials: 'omit',
    redirect: 'manual',
    cache: request.cache,
    signal: request.signal,
  });
}

async function signed(url, region) {
  const keys = await currentKeys();
  const seconds = Math.floor(Date.now() / 1_000 / QUANTUM_SECONDS) * QUANTUM_SECONDS;
  url.searchParams.set('X-Amz-Expires', String(EXPIRES_SECONDS));
  const datetime = new Date(seconds * 1_000).toISOString().replace(/[:-]|\.\d{3}/g, '');
  const signer = new AwsV4Signer({ ...keys, url: url.href, region, service: 's3', signQuery: true, datetime });
  return (await signer.sign()).url;
}

let keys;
async function currentKeys() {
  const known = await keys;
  if (known && !(Date.parse(known.expiration) - EARLY_MILLISECONDS <= Date.now())) return known;
  const asked = fetch('/credentials').then((response) => {
    if (!response.ok) throw new Error(`no keys: ${response.status}`);
    return response.json();
  });
  keys = asked.catch(() => undefined);
  return asked;
}
