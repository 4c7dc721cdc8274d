/** Which store is open, and what a link may open. */

import { batch, signal } from '@preact/signals';
import { type Credentials, type KeyspacePage, open, type Store } from 'klstore';

import { arrive, currentLink, go, linked, place } from '../permalink/navigation';
import type { Link, Place } from '../permalink/permalink';
import { begin, clear, record } from '../requests/log';
import { checkConnection, type Connection, sameConnection } from './connection';
import { draftOf, remember, remembered } from './remembered';

export interface Session {
  readonly connection: Connection;
  readonly store: Store;
  /** Whether requests are signed. */
  readonly signed: boolean;
  /** Whether it is the page's own, which links leave out. */
  readonly isHome: boolean;
  /** Of the first look, so that the first view need not look again. */
  keyspaces: KeyspacePage | undefined;
}

/** What the page is served with, where it belongs to a bucket: `connection.json` beside it. */
export interface Home {
  readonly connection: Connection;
  readonly keyspace: string | undefined;
  readonly title: string | undefined;
}

export type Phase =
  | { readonly kind: 'starting' }
  | {
      readonly kind: 'connect';
      readonly draft: Connection | undefined;
      readonly signed: boolean;
      readonly next: Place | undefined;
    }
  | { readonly kind: 'question'; readonly link: Link & { readonly connection: Connection } }
  | { readonly kind: 'open'; readonly session: Session }
  | { readonly kind: 'broken'; readonly error: unknown };

export const phase = signal<Phase>({ kind: 'starting' });
export const home = signal<Home | undefined>(undefined);

/** Stays while the page asks something. */
let current: Session | undefined;

export function canResume(): boolean {
  return current !== undefined;
}

/** The open session; views that need one are shown only with one. */
export function session(): Session | undefined {
  return phase.value.kind === 'open' ? phase.value.session : undefined;
}

/** Back from a question to what was open before, or to the page's own bucket. */
export function resume(target: Place = { view: 'keyspaces' }): void {
  const own = home.value;
  if (current) {
    phase.value = { kind: 'open', session: current };
    go(target, true);
  } else if (own) {
    void openWithoutKeys(own.connection).then(() => go({ view: 'keyspaces' }, true));
  } else {
    phase.value = { kind: 'connect', draft: undefined, signed: false, next: undefined };
    go({ view: 'connect' }, true);
  }
}

export async function start(): Promise<void> {
  home.value = await loadHome();
  await followLink(currentLink(), true);
}

/** Goes where a link says, as far as it may without asking. */
export async function followLink(link: Link, isFirst = false): Promise<void> {
  const open = current;
  const own = home.value;
  const target = link.connection ?? own?.connection ?? open?.connection;
  if (link.place.view === 'connect' || !target) {
    const next = link.place.view === 'connect' ? undefined : link.place;
    phase.value = { kind: 'connect', draft: open?.connection, signed: open?.signed ?? false, next };
    return;
  }
  if (open && sameConnection(open.connection, target)) {
    arrive(link.place);
    if (phase.value.kind !== 'open') phase.value = { kind: 'open', session: open };
    return;
  }
  const isOwn = own !== undefined && sameConnection(own.connection, target);
  const isKnown = remembered.value.some(({ connection, anonymous }) => anonymous && sameConnection(connection, target));
  if (!isOwn && !isKnown) {
    phase.value = { kind: 'question', link: { ...link, connection: target } };
    return;
  }
  await openWithoutKeys(target, link.place);
  const isBare = isFirst && location.hash.length < 2;
  if (isOwn && isBare && own.keyspace !== undefined) go({ view: 'keys', keyspace: own.keyspace, search: '' }, true);
}

export async function openWithoutKeys(connection: Connection, target: Place = { view: 'keyspaces' }): Promise<void> {
  // What was open is not to be shown at the new place.
  batch(() => {
    phase.value = { kind: 'starting' };
    arrive(target);
  });
  try {
    use(await openStore(connection, undefined), connection, false);
  } catch (error) {
    phase.value = { kind: 'broken', error };
  }
}

/** Opens a store and looks for its keyspaces, so that a form can say what is wrong. */
export async function connect(
  connection: Connection,
  credentials: Credentials | undefined,
  next: Place | undefined,
): Promise<void> {
  const store = await openStore(connection, credentials);
  let keyspaces: KeyspacePage;
  try {
    keyspaces = await store.keyspaces({ maxNames: 100, label: begin(`Connect to ${connection.bucket}`) });
  } catch (error) {
    store.close();
    throw error;
  }
  remember(connection, credentials === undefined);
  use(store, connection, credentials !== undefined, keyspaces);
  go(next ?? { view: 'keyspaces' });
}

export function disconnect(): void {
  current?.store.close();
  current = undefined;
  clear();
  phase.value = { kind: 'connect', draft: undefined, signed: false, next: undefined };
}

/** Asks for other keys for what is open, and comes back to where it was. */
export function askForKeys(): void {
  const open = session();
  if (open) phase.value = { kind: 'connect', draft: open.connection, signed: true, next: place.value };
}

function use(store: Store, connection: Connection, signed: boolean, keyspaces?: KeyspacePage): void {
  current?.store.close();
  const own = home.value;
  const isHome = !signed && own !== undefined && sameConnection(own.connection, connection);
  linked.value = isHome ? null : connection;
  current = { connection, store, signed, isHome, keyspaces };
  phase.value = { kind: 'open', session: current };
}

function openStore(connection: Connection, credentials: Credentials | undefined): Promise<Store> {
  const { endpoint, bucket, region, prefix, pathStyle } = connection;
  return open({
    bucket,
    region,
    prefix,
    pathStyle,
    endpoint: endpoint === '' ? undefined : endpoint,
    credentials,
    cache: { memory: 32 * 2 ** 20 },
    onRequest: record,
  });
}

const LONGEST_HOME = 4_096;

/** No such file is the usual case: the page then asks where to connect to. */
async function loadHome(): Promise<Home | undefined> {
  try {
    const response = await fetch('connection.json', { credentials: 'omit', cache: 'no-cache' });
    const text = response.ok ? await response.text() : '';
    if (text === '' || text.length > LONGEST_HOME) return undefined;
    const found = JSON.parse(text) as Record<string, unknown>;
    const checked = checkConnection(draftOf(found));
    if (!('value' in checked)) return undefined;
    const textOf = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined);
    return { connection: checked.value, keyspace: textOf(found.keyspace), title: textOf(found.title) };
  } catch {
    return undefined;
  }
}
