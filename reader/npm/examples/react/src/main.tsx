// npm run dev, then http://localhost:5173/?bucket=demo&endpoint=http://127.0.0.1:9000&keyspace=sensors
// The bucket is a public one; it needs the CORS rule of the package's README.

import { open } from 'klstore';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';

import { App } from './App';

const query = new URLSearchParams(location.search);
const keyspace = query.get('keyspace') ?? 'sensors';
// One store for the whole app: its cache is shared, and it stays open.
const store = await open({ bucket: query.get('bucket') ?? 'demo', endpoint: query.get('endpoint') ?? undefined });
const { keys } = await store.keys(keyspace, { maxNames: 20 });

createRoot(document.querySelector('#app')!).render(
  <StrictMode>
    <App store={store} keyspace={keyspace} keys={keys} />
  </StrictMode>,
);
