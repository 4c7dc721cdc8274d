/** Links: the whole state of the page in the URL's hash, and back. A link never holds credentials. */

import { checkConnection, type Connection } from '../connect/connection';
import { isPointer } from '../item/pointer';

export type Order = 'forwards' | 'backwards';
export type ValueTab = 'json' | 'text' | 'hex';

export interface ListState {
  readonly order: Order;
  /** The offset of the row at the top; `null` at the beginning of the view. */
  readonly at: bigint | null;
  /** The item that is open beside the rows. */
  readonly item: bigint | null;
  readonly tab: ValueTab | null;
  readonly follow: boolean;
  /** JSON pointers of the fields that are columns. */
  readonly columns: readonly string[];
  readonly find: string;
  /** Only rows that match what is looked for. */
  readonly only: boolean;
  /** The part of the time that the time line shows, in milliseconds. */
  readonly window: readonly [number, number] | null;
}

export type Place =
  | { readonly view: 'connect' }
  | { readonly view: 'keyspaces' }
  | { readonly view: 'keys'; readonly keyspace: string; readonly search: string }
  | { readonly view: 'list'; readonly keyspace: string; readonly key: string; readonly state: ListState };

export interface Link {
  /** `null` for the page's own. */
  readonly connection: Connection | null;
  readonly place: Place;
}

export const START: ListState = {
  order: 'backwards',
  at: null,
  item: null,
  tab: null,
  follow: false,
  columns: [],
  find: '',
  only: false,
  window: null,
};

export const MOST_COLUMNS = 12;
const LONGEST_HASH = 16_384;
const LONGEST_FIND = 500;
const LAST_OFFSET = 2n ** 64n - 1n;

export function formatLink({ connection, place }: Link): string {
  const query = new URLSearchParams();
  if (place.view === 'list') writeState(query, place.state);
  if (place.view === 'keys' && place.search !== '') query.set('search', place.search);
  if (connection) writeConnection(query, connection);
  const text = query.toString();
  return `#${pathOf(place)}${text === '' ? '' : `?${text}`}`;
}

/** What a hash says; of what it does not say rightly, nothing. */
export function parseLink(hash: string): Link {
  const text = hash.startsWith('#') ? hash.slice(1, LONGEST_HASH) : hash.slice(0, LONGEST_HASH);
  const mark = text.indexOf('?');
  const path = mark < 0 ? text : text.slice(0, mark);
  const query = new URLSearchParams(mark < 0 ? '' : text.slice(mark + 1));
  return { connection: readConnection(query), place: readPlace(path, query) };
}

function pathOf(place: Place): string {
  switch (place.view) {
    case 'connect':
      return '/connect';
    case 'keyspaces':
      return '/k';
    case 'keys':
      return `/k/${encodeURIComponent(place.keyspace)}`;
    case 'list':
      return `/k/${encodeURIComponent(place.keyspace)}/${encodeURIComponent(place.key)}`;
  }
}

function readPlace(path: string, query: URLSearchParams): Place {
  const parts = path.split('/').map(decoded);
  const [, root, keyspace, key] = parts;
  if (root === 'connect') return { view: 'connect' };
  if (root !== 'k' || !keyspace) return { view: 'keyspaces' };
  if (!key) return { view: 'keys', keyspace, search: (query.get('search') ?? '').slice(0, LONGEST_FIND) };
  return { view: 'list', keyspace, key, state: readState(query) };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return '';
  }
}

function writeState(query: URLSearchParams, state: ListState): void {
  if (state.order !== START.order) query.set('order', state.order);
  if (state.at !== null) query.set('at', String(state.at));
  if (state.item !== null) query.set('item', String(state.item));
  if (state.tab !== null) query.set('tab', state.tab);
  if (state.follow) query.set('follow', '1');
  for (const column of state.columns) query.append('column', column);
  if (state.find !== '') query.set('find', state.find);
  if (state.only) query.set('only', '1');
  if (state.window) query.set('window', state.window.join('~'));
}

function readState(query: URLSearchParams): ListState {
  const tab = query.get('tab');
  return {
    order: query.get('order') === 'forwards' ? 'forwards' : 'backwards',
    at: readOffset(query.get('at')),
    item: readOffset(query.get('item')),
    tab: tab === 'json' || tab === 'text' || tab === 'hex' ? tab : null,
    follow: query.get('follow') === '1',
    columns: [...new Set(query.getAll('column').filter(isPointer))].slice(0, MOST_COLUMNS),
    find: (query.get('find') ?? '').slice(0, LONGEST_FIND),
    only: query.get('only') === '1',
    window: readWindow(query.get('window')),
  };
}

export function readOffset(text: string | null): bigint | null {
  if (text === null || !/^\d{1,20}$/.test(text)) return null;
  const offset = BigInt(text);
  return offset <= LAST_OFFSET ? offset : null;
}

function readWindow(text: string | null): readonly [number, number] | null {
  const found = /^(-?\d{1,16})~(-?\d{1,16})$/.exec(text ?? '');
  if (!found) return null;
  const [from, to] = [Number(found[1]), Number(found[2])];
  return from < to ? [from, to] : null;
}

function writeConnection(query: URLSearchParams, connection: Connection): void {
  if (connection.endpoint !== '') query.set('endpoint', connection.endpoint);
  query.set('bucket', connection.bucket);
  query.set('region', connection.region);
  if (connection.prefix !== '') query.set('prefix', connection.prefix);
  if (connection.pathStyle) query.set('style', 'path');
}

function readConnection(query: URLSearchParams): Connection | null {
  if (!query.has('bucket')) return null;
  const checked = checkConnection({
    endpoint: query.get('endpoint') ?? undefined,
    bucket: query.get('bucket') ?? undefined,
    region: query.get('region') ?? undefined,
    prefix: query.get('prefix') ?? undefined,
    pathStyle: query.get('style') === 'path',
  });
  return 'value' in checked ? checked.value : null;
}
