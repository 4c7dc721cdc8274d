/** Each request that was sent, by what the user did: what for, how much, how long, at what price. */

import { useEffect, useState } from 'preact/hooks';
import type { RequestPurpose, RequestRecord } from 'klstore';

import { formatBytes, formatCount, formatDuration } from '../preferences/format';
import { Icon } from '../ui/icon';
import { cachedOf, seenVersion } from './cached';
import { costOf, formatDollars, PRICES } from './cost';
import { type Action, actions, clear, isFailure, memoryHits, totalCost, totals } from './log';
import { isPanelOpen } from './meter';

import '../styles/requests.css';

const PURPOSES: Record<RequestPurpose, string> = {
  keyspaces: 'Names of keyspaces',
  keys: 'Names of keys',
  keyspace: 'Keyspace',
  'newest-commit': 'Newest commit?',
  commit: 'Commit',
  segment: 'Segment',
  'index-page': 'Index page',
  other: 'Other',
};

export function RequestPanel() {
  const sum = totals.value;
  const all = actions.value.filter(({ totals: { lists, gets }, memoryHits: hits }) => lists + gets + hits > 0);
  return (
    <section id="requests" class="requests" aria-labelledby="requests-title" data-testid="requests-panel">
      <header class="requests-head">
        <h2 id="requests-title">Requests</h2>
        <dl class="requests-sums">
          <Sum name="LIST" value={formatCount(sum.lists)} testid="sum-lists" />
          <Sum name="GET" value={formatCount(sum.gets)} testid="sum-gets" />
          <Sum name="Memory" value={formatCount(memoryHits.value)} testid="sum-memory" />
          <Sum name="Received" value={formatBytes(sum.bytes)} testid="sum-bytes" />
          <Sum name="Cost ≤" value={formatDollars(totalCost.value)} testid="sum-cost" />
        </dl>
        <span class="toolbar-gap" />
        <button type="button" class="button is-small" data-testid="requests-clear" onClick={clear}>
          Clear
        </button>
        <button
          type="button"
          class="button is-small is-icon"
          aria-label="Close the requests"
          data-testid="requests-close"
          onClick={() => (isPanelOpen.value = false)}
        >
          <Icon name="close" />
        </button>
      </header>
      <div class="requests-body" tabIndex={0} role="region" aria-label="Requests by action">
        {all.length === 0 ? (
          <p class="is-dim requests-none">Nothing has been asked of the store yet.</p>
        ) : (
          all.map((action, number) => <ActionRows key={action.label} action={action} isNewest={number === 0} />)
        )}
        <p class="requests-note">
          Prices: {PRICES.name}, {PRICES.date}: LIST ${PRICES.listPerThousand} and GET ${PRICES.getPerThousand} a
          thousand, traffic to the internet ${PRICES.trafficPerGigabyte} a GB. “Memory” is what the reader still had: no
          request at all. What the browser's own cache answered only a store with Timing-Allow-Origin tells a page;
          whatever may be from there is counted as paid for.
        </p>
      </div>
    </section>
  );
}

function Sum({ name, value, testid }: { readonly name: string; readonly value: string; readonly testid: string }) {
  return (
    <div class="fact">
      <dt>{name}</dt>
      <dd data-testid={testid}>{value}</dd>
    </div>
  );
}

function ActionRows({ action, isNewest }: { readonly action: Action; readonly isNewest: boolean }) {
  const [isOpen, setOpen] = useState(isNewest);
  // Only the newest is open by itself.
  useEffect(() => setOpen(isNewest), [isNewest]);
  const { lists, gets, bytes, failures } = action.totals;
  const last = action.requests.at(-1);
  const took = last ? last.startedAt + last.duration - (action.requests[0]?.startedAt ?? 0) : 0;
  return (
    <div class="action" data-testid="action" data-title={action.title}>
      <button type="button" class="action-head" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
        <span class={`tree-toggle${isOpen ? ' is-open' : ''}`}>
          <Icon name="chevron" />
        </span>
        <span class="action-title">{action.title}</span>
        <span class="action-number" data-testid="action-requests">
          {lists > 0 && `${formatCount(lists)} LIST`} {gets > 0 && `${formatCount(gets)} GET`}{' '}
          {action.memoryHits > 0 && `${formatCount(action.memoryHits)} from memory`}
          {failures > 0 && <span class="is-problem"> {failures} failed</span>}
        </span>
        <span class="action-number is-narrow">{formatBytes(bytes)}</span>
        <span class="action-number is-narrow wide-only">{formatDuration(took)}</span>
        <span class="action-number is-narrow" data-testid="action-cost">
          {formatDollars(costOf(action.totals))}
        </span>
      </button>
      {isOpen && action.requests.length > 0 && (
        <table class="requests-table">
          <colgroup>
            {['kind', 'purpose', 'name', 'status', 'bytes', 'time', 'cache', 'cost'].map((name) => (
              <col key={name} class={`col-${name}`} />
            ))}
          </colgroup>
          <thead>
            <tr>
              <th scope="col">Kind</th>
              <th scope="col">What for</th>
              <th scope="col">Object</th>
              <th scope="col">Status</th>
              <th scope="col" class="is-number">
                Bytes
              </th>
              <th scope="col" class="is-number">
                Time
              </th>
              <th scope="col" class="is-number">
                Cached
              </th>
              <th scope="col" class="is-number">
                Cost
              </th>
            </tr>
          </thead>
          <tbody>
            {action.requests.map((request, number) => (
              <RequestRow key={number} request={request} />
            ))}
          </tbody>
        </table>
      )}
    </div>
  );
}

function RequestRow({ request }: { readonly request: RequestRecord }) {
  void seenVersion.value;
  const { kind, purpose, name, range, status, bytes, duration, attempt, outcome, error } = request;
  const isBad = isFailure(request);
  const [path, last] = shortened(name);
  const cost = costOf({ lists: kind === 'LIST' ? 1 : 0, gets: kind === 'GET' ? 1 : 0, bytes });
  return (
    <tr data-testid="request" data-kind={kind} data-purpose={purpose} data-outcome={outcome}>
      <td class="request-kind">{kind}</td>
      <td>
        {PURPOSES[purpose]}
        {attempt > 1 && <span class="is-dim"> · attempt {attempt}</span>}
      </td>
      <td title={name}>
        <span class="request-name">
          <span class="request-path">{path}</span>
          <span>{last}</span>
          {range && (
            <span class="request-range">
              bytes {range.start}–{range.end - 1}
            </span>
          )}
        </span>
      </td>
      <td class={isBad ? 'is-problem' : ''} title={error ?? ''}>
        {outcome === 'aborted' ? 'given up' : outcome === 'failed' ? (status ?? 'no answer') : (status ?? 'ok')}
      </td>
      <td class="is-number">{formatBytes(bytes)}</td>
      <td class="is-number">{formatDuration(duration)}</td>
      <td class="request-cache" data-testid="request-cached">
        {cachedOf(request)}
      </td>
      <td class="is-number">{formatDollars(cost)}</td>
    </tr>
  );
}

/** The end of a name says which object it is: it stays, and the middle of a long id goes. */
function shortened(name: string): readonly [string, string] {
  const parts = name.split('/');
  const file = parts.pop() ?? '';
  const folder = parts.length > 3 ? `${parts.pop()}/` : '';
  const id = file.length > 24 ? `${file.slice(0, 4)}…${file.slice(-12)}` : file;
  return [parts.length > 0 ? `${parts.join('/')}/` : '', `${folder}${id}`];
}
