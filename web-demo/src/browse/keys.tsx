/** The keys of a keyspace. */

import { useEffect, useMemo, useRef, useState } from 'preact/hooks';

import type { Session } from '../connect/session';
import { go, hrefOf, note } from '../permalink/navigation';
import { START } from '../permalink/permalink';
import { formatCount } from '../preferences/format';
import { Failure } from '../ui/failure';
import { Icon } from '../ui/icon';
import { useShortcuts } from '../ui/shortcuts';
import { useTitle } from '../ui/title';
import { KeyList } from './key-list';

interface Props {
  readonly session: Session;
  readonly keyspace: string;
  readonly search: string;
}

const SEARCH_DELAY = 200;

export function KeysView({ session, keyspace, search }: Props) {
  const [typed, setTyped] = useState(search);
  const scroller = useRef<HTMLDivElement>(null);
  const head = useRef<HTMLDivElement>(null);
  const body = useRef<HTMLDivElement>(null);
  const input = useRef<HTMLInputElement>(null);
  const list = useMemo(() => {
    const placeOf = (key: string) => ({ view: 'list', keyspace, key, state: START }) as const;
    return new KeyList(
      session.store,
      keyspace,
      (key) => hrefOf(placeOf(key)),
      (key) => go(placeOf(key)),
    );
  }, [session, keyspace]);

  useEffect(() => {
    list.attach(scroller.current!, head.current!, body.current!);
    list.search(search);
    return () => list.dispose();
  }, [list]);

  const isFirst = useRef(true);
  useEffect(() => {
    if (isFirst.current) {
      isFirst.current = false;
      return undefined;
    }
    const timer = setTimeout(() => {
      note({ view: 'keys', keyspace, search: typed });
      list.search(typed);
    }, SEARCH_DELAY);
    return () => clearTimeout(timer);
  }, [typed]);

  useTitle(keyspace);
  useShortcuts({
    '/': () => input.current?.focus(),
    Escape: () => go({ view: 'keyspaces' }),
  });

  const status = list.status.value;
  const count = list.count.value;
  return (
    <main class="page is-full" data-testid="keys-view" data-state={status}>
      <header class="page-head is-row">
        <div>
          <h1>{keyspace}</h1>
          <p class="lead" role="status" data-testid="key-count">
            {status === 'loading' ? 'Loading …' : countText(count, list.isComplete.value, typed)}
          </p>
        </div>
        <label class="search">
          <Icon name="search" />
          <input
            ref={input}
            class="input"
            type="search"
            data-testid="key-search"
            aria-label="Keys that begin with"
            placeholder="Begins with …"
            spellcheck={false}
            autocomplete="off"
            value={typed}
            maxLength={255}
            onInput={(event) => setTyped(event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key === 'ArrowDown' || event.key === 'Enter') scroller.current?.focus();
            }}
          />
          <kbd>/</kbd>
        </label>
      </header>
      <div class="grid-frame" hidden={status === 'error' && count === 0}>
        <div
          ref={scroller}
          class={`grid keys-grid${status === 'ready' || status === 'error' ? '' : ' is-veiled'}`}
          role="grid"
          tabIndex={0}
          aria-label={`Keys of ${keyspace}`}
          data-testid="keys"
        >
          <div ref={head} class="row grid-head" role="row">
            <div class="cell cell-name" role="columnheader">
              Key
            </div>
            <div class="cell cell-items" role="columnheader">
              Items
            </div>
            <div class="cell cell-size" role="columnheader">
              Size
            </div>
            <div class="cell cell-age" role="columnheader">
              Newest<span class="wide-only">&nbsp;item</span>
            </div>
          </div>
          <div ref={body} class="grid-body" role="rowgroup" />
        </div>
        {status === 'empty' && (
          <div class="empty is-over" data-testid="empty">
            <h2>{typed === '' ? 'No list yet' : 'No such key'}</h2>
            <p>
              {typed === ''
                ? 'A list begins with its first append.'
                : `No key of this keyspace begins with “${typed}”. Capital letters count.`}
            </p>
          </div>
        )}
      </div>
      {status === 'error' && <Failure error={list.error.value} retry={() => void list.more()} />}
    </main>
  );
}

function countText(count: number, isComplete: boolean, prefix: string): string {
  const lists = `${formatCount(count)}${isComplete ? '' : '+'} ${count === 1 && isComplete ? 'list' : 'lists'}`;
  return count === 0 && !isComplete ? '' : prefix === '' ? lists : `${lists} that begin with “${prefix}”`;
}
