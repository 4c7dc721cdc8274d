import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { startWorker } from '../lib/workerd.mjs';

export const name = 'workerd';

const WORKER = `
import { open } from 'klstore';
import { runCases } from './conformance/suite.mjs';

export default {
  async fetch(request) {
    const { config, only } = await request.json();
    return Response.json(await runCases(open, config, only));
  },
};
`;

export async function runIn({ folder, config }) {
  await writeFile(join(folder, 'worker.mjs'), WORKER);
  const worker = await startWorker(folder, 'worker.mjs');
  try {
    const body = JSON.stringify({ config, only: process.env.KLSTORE_TEST_CASE });
    const response = await fetch(worker.url, { method: 'POST', body });
    if (!response.ok) throw new Error(`workerd: ${response.status} ${await response.text()}`);
    return await response.json();
  } finally {
    await worker.stop();
  }
}
