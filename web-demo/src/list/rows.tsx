/** The rows of a list, and what is said over them. */

import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';

import { titleOf } from '../item/pointer';
import { formatCount, zoneName } from '../preferences/format';
import { zone } from '../preferences/preferences';
import { Icon } from '../ui/icon';
import type { ListController } from './controller';

export function RowsView({ list }: { readonly list: ListController }) {
  const scroller = useRef<HTMLDivElement>(null);
  const head = useRef<HTMLDivElement>(null);
  const body = useRef<HTMLDivElement>(null);
  useEffect(() => list.attach(scroller.current!, head.current!, body.current!), [list]);

  const columns = list.columns.value;
  const known = list.model.known.value;
  const nonces = list.model.nextNonce.value;
  // Before anything is painted: rows stand where they will stay.
  useLayoutEffect(() => {
    const { style } = scroller.current!;
    style.setProperty('--offset-width', `calc(${Math.max(7, String(known.next).length)}ch + 18px)`);
    style.setProperty(
      '--nonce-width',
      nonces === 0n ? '0px' : `calc(${Math.min(22, Math.max(6, String(nonces).length))}ch + 18px)`,
    );
    style.setProperty(
      '--field-columns',
      columns.length === 0 ? '' : columns.map(() => 'minmax(6rem, 10rem)').join(' '),
    );
    style.setProperty('--fields-width', `${columns.length * 6}rem`);
  }, [known.next, nonces, columns]);

  const isOnly = list.only.value;
  const isEmpty = isOnly && list.finder.matches.value.length === 0;
  return (
    <div class="grid-frame">
      <div
        ref={scroller}
        class={`grid items-grid${nonces === 0n ? ' has-no-nonce' : ''}${columns.length > 0 ? ' has-fields' : ''}`}
        role="grid"
        tabIndex={0}
        aria-label={`Items of ${list.model.key}`}
        aria-colcount={4 + columns.length}
        data-testid="rows"
      >
        <div ref={head} class="row grid-head" role="row" aria-rowindex={1}>
          <div class="cell cell-offset" role="columnheader">
            Offset
          </div>
          <div class="cell cell-time" role="columnheader">
            Time, {zoneName(zone.value)}
          </div>
          <div class="cell cell-nonce" role="columnheader">
            Nonce
          </div>
          {columns.map((pointer) => (
            <div
              key={pointer}
              class="cell cell-field"
              role="columnheader"
              data-testid="column"
              data-column={pointer}
              title={pointer}
            >
              <span class="cell-title">{titleOf(pointer)}</span>
              <button
                type="button"
                class="cell-drop"
                aria-label={`Remove the column ${titleOf(pointer)}`}
                data-testid="drop-column"
                onClick={() => list.toggleColumn(pointer)}
              >
                <Icon name="close" />
              </button>
            </div>
          ))}
          <div class="cell cell-value" role="columnheader">
            Value
          </div>
        </div>
        <div ref={body} class="grid-body" role="rowgroup" />
      </div>
      {isEmpty && (
        <div class="empty is-over" data-testid="no-matches">
          <h2>Nothing matches in what is loaded</h2>
          <p>Scan on from here to look further.</p>
        </div>
      )}
      <NewItems list={list} />
    </div>
  );
}

/** Items that came in out of sight. */
function NewItems({ list }: { readonly list: ListController }) {
  const state = list.live.state.value;
  const waiting = list.unseen.value;
  if (state === 'off' || waiting === 0 || (state === 'live' && list.isAtHead.value)) return null;
  const isUp = list.order.value === 'backwards';
  return (
    <button
      type="button"
      class={`new-items${isUp ? ' is-top' : ' is-bottom'}`}
      data-testid="new-items"
      data-count={waiting}
      onClick={() => list.showHead()}
    >
      <Icon name={isUp ? 'arrowUp' : 'arrowDown'} />
      {formatCount(waiting)} new
    </button>
  );
}
