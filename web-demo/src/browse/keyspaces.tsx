/** The keyspaces of a bucket. */

import { useEffect, useRef, useState } from 'preact/hooks';
import type { KeyspaceInfo, UnreadableKeyspace } from 'klstore';

import { hostOf } from '../connect/connection';
import type { Session } from '../connect/session';
import { hrefOf } from '../permalink/navigation';
import { formatMinute, zoneName } from '../preferences/format';
import { zone } from '../preferences/preferences';
import { begin } from '../requests/log';
import { Failure } from '../ui/failure';
import { Icon } from '../ui/icon';
import { useTitle } from '../ui/title';

const PAGE_NAMES = 100;

interface Listed {
  readonly keyspaces: readonly KeyspaceInfo[];
  readonly unreadable: readonly UnreadableKeyspace[];
  readonly continuation: string | null;
}

const NOTHING: Listed = { keyspaces: [], unreadable: [], continuation: null };

export function KeyspacesView({ session }: { readonly session: Session }) {
  const [listed, setListed] = useState<Listed>();
  const [error, setError] = useState<unknown>();
  const [isBusy, setBusy] = useState(false);
  const abort = useRef(new AbortController());

  const more = async (before: Listed, continuation: string | undefined) => {
    setBusy(true);
    setError(undefined);
    const { signal } = abort.current;
    try {
      const options = { maxNames: PAGE_NAMES, continuation, signal, label: begin('List keyspaces') };
      setListed(joined(before, await session.store.keyspaces(options)));
    } catch (failure) {
      if (!signal.aborted) setError(failure);
    } finally {
      if (!signal.aborted) setBusy(false);
    }
  };
  const reload = () => void more(NOTHING, undefined);

  useEffect(() => {
    abort.current = new AbortController();
    const known = session.keyspaces;
    session.keyspaces = undefined;
    setListed(known);
    if (!known) reload();
    return () => abort.current.abort();
  }, [session]);

  const isEmpty =
    listed !== undefined && listed.keyspaces.length + listed.unreadable.length === 0 && listed.continuation === null;
  const state = error !== undefined ? 'error' : !listed ? 'loading' : isEmpty ? 'empty' : 'ready';
  const { connection } = session;
  useTitle(connection.bucket);
  return (
    <main class="page" data-testid="keyspaces-view" data-state={state}>
      <header class="page-head">
        <h1>Keyspaces</h1>
        <p class="lead">
          of <strong>{connection.bucket}</strong> at {hostOf(connection)}
          {connection.prefix && `, under ${connection.prefix}`}
        </p>
      </header>
      {state === 'loading' && <div class="table-ghost" aria-label="Loading" role="status" />}
      {state === 'empty' && (
        <div class="empty" data-testid="empty">
          <h2>No keyspace yet</h2>
          <p>
            A keyspace is made by <code>klstore keyspace create NAME</code>. If you expected some, look at the prefix of
            the connection.
          </p>
          <button type="button" class="button" onClick={reload}>
            Look again
          </button>
        </div>
      )}
      {listed && !isEmpty && (
        <div class="panel table-panel">
          <table class="table" data-testid="keyspaces">
            <thead>
              <tr>
                <th scope="col">Keyspace</th>
                <th scope="col" class="is-number">
                  Created, {zoneName(zone.value)}
                </th>
                <th scope="col" class="is-number">
                  Format
                </th>
              </tr>
            </thead>
            <tbody>
              {listed.keyspaces.map(({ keyspace, created, formatVersion }) => (
                <tr key={keyspace} data-testid="keyspace" data-keyspace={keyspace}>
                  <td>
                    <a class="row-link" href={hrefOf({ view: 'keys', keyspace, search: '' })}>
                      {keyspace}
                    </a>
                  </td>
                  <td class="is-number">
                    {Number.isNaN(created.getTime()) ? '' : formatMinute(BigInt(created.getTime()), zone.value)}
                  </td>
                  <td class="is-number">{formatVersion}</td>
                </tr>
              ))}
              {listed.unreadable.map(({ keyspace, message }) => (
                <tr key={keyspace} data-testid="unreadable-keyspace">
                  <td>{keyspace}</td>
                  <td colSpan={2} class="is-problem">
                    <Icon name="warning" /> {message}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {error !== undefined && (
        <Failure error={error} retry={() => void more(listed ?? NOTHING, listed?.continuation ?? undefined)} />
      )}
      {listed && listed.continuation !== null && error === undefined && (
        <button
          type="button"
          class="button more-button"
          data-testid="more-keyspaces"
          disabled={isBusy}
          onClick={() => void more(listed, listed.continuation ?? undefined)}
        >
          {isBusy ? 'Loading …' : 'Show more'}
        </button>
      )}
    </main>
  );
}

function joined(before: Listed, { keyspaces, unreadable, continuation }: Listed): Listed {
  return {
    keyspaces: [...before.keyspaces, ...keyspaces],
    unreadable: [...before.unreadable, ...unreadable],
    continuation,
  };
}
