/** What a value is, looked at no further than it is needed: values are untrusted and may be large. */

import type { Item } from 'klstore';

/** Bytes of a value that a row looks at. */
const PREVIEW_BYTES = 320;
/** A larger value is not parsed: it would hold the page up. */
const MOST_PARSED_BYTES = 2 * 2 ** 20;
/** A row that has columns parses no larger one. */
const MOST_PARSED_IN_ROW = 64 * 2 ** 10;

const lenient = new TextDecoder();
const strict = new TextDecoder('utf-8', { fatal: true });

export type Parsed = { readonly value: unknown } | { readonly problem: string };

/** One line for a row: its text, or its first bytes. More characters than are seen only cost time to lay out. */
export function previewOf({ value }: Item, most = PREVIEW_BYTES): string {
  if (value.length === 0) return '';
  const bytes = value.length > PREVIEW_BYTES ? value.subarray(0, PREVIEW_BYTES) : value;
  if (isBinary(bytes)) return hexLine(bytes.subarray(0, 48));
  const text = lenient.decode(bytes).replace(UNSEEN, ' ');
  if (text.length > most) return `${text.slice(0, most)}…`;
  return value.length > PREVIEW_BYTES ? `${text}…` : text;
}

/** What would move or hide text around it: control characters and those that turn its direction. */
// eslint-disable-next-line no-control-regex
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069]+/g;

/** Whether bytes are hardly text: a zero, or many that are no UTF-8. */
export function isBinary(bytes: Uint8Array): boolean {
  const part = bytes.subarray(0, PREVIEW_BYTES);
  if (part.includes(0)) return true;
  const wrong = lenient.decode(part).split('\ufffd').length - 1;
  // A character may be cut at the end.
  return wrong > 1 + part.length / 16;
}

export function textOf(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes);
  } catch {
    return undefined;
  }
}

/** A number that a double cannot hold, as it was written. */
export class WrittenNumber {
  constructor(readonly source: string) {}
}

/** The value as JSON. Numbers that would change are kept as they are written. */
export function parse(value: Uint8Array, most = MOST_PARSED_BYTES): Parsed {
  if (value.length > most) return { problem: `Larger than ${most / 2 ** 20} MiB: shown as text and bytes only.` };
  const text = textOf(value);
  if (text === undefined) return { problem: 'Not JSON: the bytes are no UTF-8 text.' };
  try {
    return { value: JSON.parse(text, exact as (key: string, value: unknown) => unknown) };
  } catch (error) {
    return { problem: `Not JSON: ${error instanceof Error ? error.message : 'it cannot be parsed'}` };
  }
}

/** Keeps the digits of integers that are too large. Browsers that do not tell the source give the rounded number. */
function exact(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  const isChanged = typeof value === 'number' && !Number.isSafeInteger(value) && context?.source !== undefined;
  return isChanged && /^-?\d+$/.test(context.source!) ? new WrittenNumber(context.source!) : value;
}

const parsedInRows = new WeakMap<Item, { readonly value: unknown } | undefined>();

/** The value as a row with columns needs it; `undefined` where it is no JSON or too large. */
export function fieldsOf(item: Item): unknown {
  let known = parsedInRows.get(item);
  if (!known && !parsedInRows.has(item)) {
    const parsed = parse(item.value, MOST_PARSED_IN_ROW);
    known = 'value' in parsed ? parsed : undefined;
    parsedInRows.set(item, known);
  }
  return known?.value;
}

/** One line for a field. */
export function fieldText(value: unknown): string {
  if (value === undefined) return '';
  if (typeof value === 'string') return value.slice(0, 200).replace(UNSEEN, ' ');
  if (value instanceof WrittenNumber) return value.source;
  if (Array.isArray(value)) return `[${value.length}]`;
  if (typeof value === 'object' && value !== null) return `{${Object.keys(value).length}}`;
  return String(value);
}

export function hexLine(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += `${text === '' ? '' : ' '}${byte.toString(16).padStart(2, '0')}`;
  return text;
}

/** A dump of some bytes: position, sixteen of them, and what of them is ASCII. */
export function hexDump(bytes: Uint8Array, from: number, end: number): string {
  const lines: string[] = [];
  const last = Math.min(end, bytes.length);
  for (let at = from; at < last; at += 16) {
    const row = bytes.subarray(at, Math.min(at + 16, last));
    const ascii = Array.from(row, (byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '·')).join('');
    const left = hexLine(row.subarray(0, 8)).padEnd(23);
    const right = hexLine(row.subarray(8)).padEnd(23);
    lines.push(`${at.toString(16).padStart(8, '0')}  ${left}  ${right}  ${ascii}`);
  }
  return lines.join('\n');
}
