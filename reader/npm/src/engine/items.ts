/** From the module's columns to items. */

import type { Item } from '../types.js';

/** A page's items as the module gives them; `runs` are addresses and lengths in its memory. */
export interface Columns {
  readonly offsets: BigUint64Array;
  readonly timestamps: BigInt64Array;
  /** Low and high half of each, both all ones for none; empty where no item has one. */
  readonly nonces: BigUint64Array;
  readonly lengths: Uint32Array;
  readonly runs: Uint32Array;
}

const NO_NONCE = 2n ** 128n - 1n;
const utf8 = new TextDecoder();

class ListItem implements Item {
  constructor(
    readonly offset: bigint,
    readonly timestamp: bigint,
    readonly nonce: bigint | null,
    readonly value: Uint8Array,
  ) {}

  get date(): Date {
    return new Date(Number(this.timestamp));
  }

  text(): string {
    return utf8.decode(this.value);
  }

  json<T = unknown>(): T {
    return JSON.parse(this.text()) as T;
  }
}

export function itemsOf(columns: Columns, memory: WebAssembly.Memory): Item[] {
  const { offsets, timestamps, nonces, lengths } = columns;
  const values = copyOfValues(columns, memory);
  const count = lengths.length;
  // Values lie in the order of their offsets, whatever the order asked for.
  const backwards = count > 1 && offsets[0]! > offsets[count - 1]!;
  const items = new Array<Item>(count);
  let position = backwards ? values.length : 0;
  for (let number = 0; number < count; number++) {
    const length = lengths[number]!;
    if (backwards) position -= length;
    const value = new Uint8Array(values.buffer, position, length);
    if (!backwards) position += length;
    const nonce = nonces.length === 0 ? null : nonceOf(nonces[2 * number]!, nonces[2 * number + 1]!);
    items[number] = new ListItem(offsets[number]!, timestamps[number]!, nonce, value);
  }
  return items;
}

function copyOfValues({ lengths, runs }: Columns, memory: WebAssembly.Memory): Uint8Array<ArrayBuffer> {
  let total = 0;
  for (const length of lengths) total += length;
  const values = new Uint8Array(total);
  const module = new Uint8Array(memory.buffer);
  let position = 0;
  for (let run = 0; run < runs.length; run += 2) {
    const [address, length] = [runs[run]!, runs[run + 1]!];
    values.set(module.subarray(address, address + length), position);
    position += length;
  }
  return values;
}

function nonceOf(low: bigint, high: bigint): bigint | null {
  if (high === 0n) return low;
  const nonce = (high << 64n) | low;
  return nonce === NO_NONCE ? null : nonce;
}
