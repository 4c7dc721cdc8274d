/** Connections that were used before, without their secrets, in the browser's storage. */

import { signal } from '@preact/signals';

import { store, stored } from '../preferences/preferences';
import { checkConnection, type Connection, type ConnectionDraft, identity } from './connection';

export interface Remembered {
  readonly connection: Connection;
  /** Whether it needed none: then a link may open it without a question. */
  readonly anonymous: boolean;
}

const PLACE = 'klstore.connections';
const MOST = 12;

/** The last one used first. */
export const remembered = signal<readonly Remembered[]>(read(stored(PLACE)));

export function remember(connection: Connection, anonymous: boolean): void {
  const others = remembered.value.filter((other) => identity(other.connection) !== identity(connection));
  keep([{ connection, anonymous }, ...others].slice(0, MOST));
}

export function forget(connection: Connection): void {
  keep(remembered.value.filter((other) => identity(other.connection) !== identity(connection)));
}

function keep(all: readonly Remembered[]): void {
  remembered.value = all;
  store(PLACE, JSON.stringify(all));
}

/** Whatever else stands in the storage is left out. */
export function read(text: string | null): readonly Remembered[] {
  let found: unknown;
  try {
    found = JSON.parse(text ?? '[]');
  } catch {
    return [];
  }
  if (!Array.isArray(found)) return [];
  return found.slice(0, MOST).flatMap((entry: unknown) => {
    if (typeof entry !== 'object' || entry === null) return [];
    const { connection, anonymous } = entry as { connection?: unknown; anonymous?: unknown };
    const checked = checkConnection(draftOf(connection));
    return 'value' in checked ? [{ connection: checked.value, anonymous: anonymous === true }] : [];
  });
}

/** The fields that are of the right type. */
export function draftOf(found: unknown): ConnectionDraft {
  if (typeof found !== 'object' || found === null) return {};
  const { endpoint, bucket, region, prefix, pathStyle } = found as Record<string, unknown>;
  const text = (value: unknown) => (typeof value === 'string' ? value : undefined);
  return {
    endpoint: text(endpoint),
    bucket: text(bucket),
    region: text(region),
    prefix: text(prefix),
    pathStyle: pathStyle === true,
  };
}
