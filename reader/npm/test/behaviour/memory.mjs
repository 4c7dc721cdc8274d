// Memory over a long time.

import assert from 'node:assert/strict';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { itemsOf, KEYSPACE, LISTS } from '../conformance/data.mjs';
import { watchMemory } from './wasm_memory.mjs';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');
const MEBIBYTE = 2 ** 20;
/** What a module's memory may grow by, which has no collector: its free spaces are not always of the size that is asked for. */
const FRAGMENTATION = 2 * MEBIBYTE;

/** Until what nobody holds any more is given back: finalizers need turns of the event loop. */
async function settle() {
  for (let turn = 0; turn < 5; turn++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    collect();
  }
}

export const cases = {
  'ten thousand pages leave no memory behind': async ({ open, s3, later }) => {
    const memory = watchMemory(later);
    // Smaller than the lists, so that objects come and go. Past the front, whose counts are memory too.
    const store = await open({ endpoint: s3.endpoint, cache: { memory: 65_536 } });
    const lists = ['bulk', 'compacted', 'small appends'].map((key) => ({ key, length: itemsOf(LISTS[key]).length }));
    const read = async (from, to) => {
      for (let page = from; page < to; page++) {
        const { key, length } = lists[page % lists.length];
        const [startOffset, maxItems, isBackwards] = [(page * 37) % length, 1 + ((page * 101) % 200), page % 2 === 1];
        const order = isBackwards ? 'backwards' : 'forwards';
        const { items } = await store.readPage(KEYSPACE, key, { startOffset, maxItems, order });
        assert.equal(items.length, Math.min(maxItems, isBackwards ? startOffset + 1 : length - startOffset));
      }
      await settle();
      const { heapUsed, arrayBuffers, external } = process.memoryUsage();
      return { module: memory.most(), heap: heapUsed, buffers: arrayBuffers + external };
    };
    const early = await read(0, 2_000);
    const late = await read(2_000, 10_000);
    const said = JSON.stringify({ early, late });
    assert.equal(late.module, early.module, said);
    // A hundred bytes for each page would show. (The compiler's own notes are in the heap.)
    assert.ok(late.heap < early.heap + MEBIBYTE, said);
    assert.ok(late.buffers < early.buffers + MEBIBYTE / 2, said);
  },

  'a thousand aborted pages leave no memory behind': async ({ open, later }) => {
    const memory = watchMemory(later);
    const store = await open({ cache: { memory: 0 } });
    const abort = async (pages) => {
      for (let page = 0; page < pages; page++) {
        const controller = new AbortController();
        const reading = store.readPage(KEYSPACE, 'bulk', { signal: controller.signal }).catch((error) => error);
        setTimeout(() => controller.abort(), page % 7);
        await reading;
      }
      return memory.most();
    };
    const early = await abort(200);
    const late = await abort(800);
    assert.ok(late <= early + FRAGMENTATION, `${early} bytes, then ${late}`);
  },

  'stores that are closed give their memory back': async ({ open }) => {
    const use = async (stores) => {
      for (let number = 0; number < stores; number++) {
        const store = await open();
        await store.readPage(KEYSPACE, 'compacted', { maxItems: 1 });
        store.close();
      }
      await settle();
      return process.memoryUsage().rss;
    };
    await use(20);
    const early = await use(50);
    const late = await use(150);
    assert.ok(late < early + 100 * MEBIBYTE, `${early} bytes, then ${late}`);
  },
};
