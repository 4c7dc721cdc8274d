// The page: it reads a list as if the bucket were public. Neither its own code nor any other script in it ever sees a key
// or a signed URL: the service worker has them.

import { open } from './klstore/browser.js';

const status = document.querySelector('[role=status]');
try {
  await signedByServiceWorker();
  const { bucket, endpoint, region, keyspace, key } = await (await fetch('/store.json')).json();
  const store = await open({ bucket, endpoint, region });
  const { items } = await store.readPage(keyspace, key, { order: 'backwards', maxItems: 20 });
  for (const item of items) {
    const row = document.createElement('li');
    row.textContent = item.text();
    document.querySelector('#items').append(row);
  }
} catch (error) {
  status.textContent = error.message;
}

/** Until requests of this page go through the service worker: at the first visit it has to start first. */
async function signedByServiceWorker() {
  const { serviceWorker } = navigator;
  const controlled = new Promise((resolve) => serviceWorker.addEventListener('controllerchange', resolve, { once: true }));
  const { active } = await serviceWorker.register('/service-worker.js', { type: 'module' });
  if (serviceWorker.controller) return;
  // After a reload that bypasses it (shift), it is there and does not control the page: it is asked to.
  active?.postMessage('claim');
  await controlled;
}
