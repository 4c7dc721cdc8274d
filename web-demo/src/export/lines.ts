/** Items as lines of a file. */

import type { Item } from 'klstore';

import { fieldsOf, fieldText, textOf } from '../item/content';
import { lookUp, pathOf, titleOf } from '../item/pointer';

export type Format = 'ndjson' | 'csv';

/** The lines that `klstore read --output ndjson` writes and `klstore append --format ndjson` reads. */
export function ndjsonLine({ offset, timestamp, nonce, value }: Item): string {
  const text = textOf(value);
  const fields = [`"offset":${offset}`, `"timestamp":${timestamp}`];
  if (nonce !== null) fields.push(`"nonce":"${nonce}"`);
  fields.push(text === undefined ? `"value_base64":"${base64(value)}"` : `"value":${JSON.stringify(text)}`);
  return `{${fields.join(',')}}\n`;
}

export interface CsvOptions {
  /** JSON pointers of the fields that are columns before the value. */
  readonly columns: readonly string[];
  /** Puts a quote before what a spreadsheet would take for a formula. */
  readonly guard: boolean;
}

export function csvHead({ columns, guard }: CsvOptions): string {
  const titles = columns.map((pointer) => guarded(titleOf(pointer), guard));
  return `${['offset', 'timestamp', 'time', 'nonce', ...titles, 'value', 'encoding'].map(cell).join(',')}\r\n`;
}

export function csvLine(item: Item, { columns, guard }: CsvOptions): string {
  const { offset, timestamp, nonce, value, date } = item;
  const time = Number.isNaN(date.getTime()) ? '' : date.toISOString();
  const fields = columns.length > 0 ? fieldsOf(item) : undefined;
  const extra = columns.map((pointer) => {
    const field = lookUp(fields, pathOf(pointer));
    return typeof field === 'string' ? guarded(field, guard) : fieldText(field);
  });
  const text = textOf(value);
  const shown = text === undefined ? [base64(value), 'base64'] : [guarded(text, guard), 'text'];
  return `${[String(offset), String(timestamp), time, nonce === null ? '' : String(nonce), ...extra, ...shown].map(cell).join(',')}\r\n`;
}

/** RFC 4180. */
function cell(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Spreadsheets run what begins so, a number excepted. */
function guarded(text: string, guard: boolean): string {
  return guard && /^[\s]*[=+\-@\t\r]/.test(text) && !/^[+-]?\d+(?:\.\d+)?$/.test(text) ? `'${text}` : text;
}

function base64(bytes: Uint8Array): string {
  let binary = '';
  for (let at = 0; at < bytes.length; at += 8_192) binary += String.fromCharCode(...bytes.subarray(at, at + 8_192));
  return btoa(binary);
}

/** A file's name from a list's: nothing in it that a file system minds. */
export function fileName(keyspace: string, key: string, first: bigint, last: bigint, format: Format): string {
  const plain = (text: string) =>
    text
      .replace(/[^A-Za-z0-9._-]+/g, '_')
      .replace(/^\.+/, '')
      .slice(0, 60) || 'list';
  return `${plain(keyspace)}-${plain(key)}-${first}-${last}.${format}`;
}
