/** A list: what is known of it, its time line, its rows, and the open item beside them. */

import { useEffect, useMemo, useRef, useState } from 'preact/hooks';

import type { Session } from '../connect/session';
import { FindBar } from '../find/bar';
import type { ListState } from '../permalink/permalink';
import { formatCount } from '../preferences/format';
import { TimelineView } from '../timeline/view';
import { announce } from '../ui/announce';
import { Failure } from '../ui/failure';
import { later } from '../ui/later';
import { useShortcuts } from '../ui/shortcuts';
import { useTitle } from '../ui/title';
import { ListController } from './controller';
import { ListHead } from './head';
import { ListModel } from './model';
import { RowsView } from './rows';
import { StatusBar } from './status';
import { Toolbar } from './toolbar';

const ExportDialog = later(async () => (await import('../export/dialog')).ExportDialog);
const ItemPanel = later(async () => (await import('../item/panel')).ItemPanel);

interface Props {
  readonly session: Session;
  readonly keyspace: string;
  readonly listKey: string;
  readonly state: ListState;
}

export function ListView({ session, keyspace, listKey, state }: Props) {
  const [isFinding, setFinding] = useState(state.find !== '');
  const [isExporting, setExporting] = useState(false);
  const jump = useRef<HTMLInputElement>(null);
  const find = useRef<HTMLInputElement>(null);
  const timeline = useRef<HTMLDivElement>(null);
  const list = useMemo(() => new ListController(new ListModel(session.store, keyspace, listKey), state), []);
  useEffect(() => () => list.dispose(), [list]);

  const startFinding = () => {
    setFinding(true);
    requestAnimationFrame(() => find.current?.focus());
  };
  const stopFinding = () => {
    list.find('');
    setFinding(false);
    list.focus();
  };
  const leave = () => {
    if (list.item.value !== null) {
      list.close();
      list.focus();
    } else if (isFinding) stopFinding();
    else list.leave();
  };
  useShortcuts({
    g: () => jump.current?.focus(),
    '/': startFinding,
    n: () => list.step(1),
    N: () => list.step(-1),
    o: () => list.setOrder(list.order.value === 'forwards' ? 'backwards' : 'forwards'),
    f: () => list.toggleLive(),
    p: () =>
      list.live.state.value === 'live' ? list.live.pause() : list.live.state.value === 'paused' && list.live.start(),
    l: () => list.focus(),
    t: () => timeline.current?.focus(),
    e: () => setExporting(true),
    h: () => void list.renewHead(),
    Escape: leave,
  });

  useTitle(listKey);
  const { model } = list;
  const status = model.status.value;
  const said = list.said.value;
  useEffect(() => announce(said), [said]);
  const { notice } = model;
  useEffect(() => announce(notice.value), [notice.value]);

  return (
    <main
      class="list-page"
      data-testid="list-view"
      data-state={status}
      data-order={list.order.value}
      data-settled={model.isSettled.value}
    >
      <ListHead list={list} />
      {status === 'error' && <Failure error={model.error.value} retry={() => list.reopen()} />}
      {status === 'missing' && (
        <div class="empty" data-testid="empty">
          <h2>Nothing was ever appended here</h2>
          <p>There is no list of the key “{listKey}”. It begins with its first append; follow it to see that come.</p>
          <button type="button" class="button" onClick={() => list.toggleLive()}>
            {list.live.state.value === 'off' ? 'Wait for the first item' : 'Waiting for the first item …'}
          </button>
        </div>
      )}
      {status === 'empty' && (
        <div class="empty" data-testid="empty">
          <h2>No items are left</h2>
          <p>
            All {formatCount(model.known.value.next)} items of this list have been trimmed. Its next one has offset{' '}
            {String(model.known.value.next)}.
          </p>
        </div>
      )}
      {status !== 'error' && status !== 'missing' && status !== 'empty' && (
        <>
          <TimelineView list={list} focusRef={timeline} />
          <Toolbar
            list={list}
            jumpRef={jump}
            isFinding={isFinding}
            onFind={isFinding ? stopFinding : startFinding}
            onExport={() => setExporting(true)}
          />
          {isFinding && <FindBar list={list} inputRef={find} onClose={stopFinding} />}
          <div class={`list-body${list.item.value === null ? '' : ' has-item'}`}>
            <RowsView list={list} />
            {list.item.value !== null && <ItemPanel list={list} offset={list.item.value} />}
          </div>
          <StatusBar list={list} />
        </>
      )}
      {isExporting && <ExportDialog list={list} onClose={() => setExporting(false)} />}
    </main>
  );
}
