/** What was asked of the store, by what the user did. */

import { computed, signal } from '@preact/signals';
import type { ReadStats, RequestRecord } from 'klstore';

import { costOf } from './cost';

export interface Action {
  readonly label: string;
  readonly title: string;
  readonly startedAt: number;
  readonly requests: readonly RequestRecord[];
  /** Requests that the memory answered, so that they were never sent. */
  readonly memoryHits: number;
  /** Sums of all its requests; `requests` keeps the last ones only. */
  readonly totals: Totals;
}

export interface Totals {
  readonly lists: number;
  readonly gets: number;
  readonly bytes: number;
  readonly failures: number;
}

export const NOTHING: Totals = { lists: 0, gets: 0, bytes: 0, failures: 0 };
const MOST_ACTIONS = 100;
const MOST_REQUESTS = 200;
/** Loads of rows so soon one after the other are one action. */
const JOIN_MILLISECONDS = 1_500;

/** The newest first. */
export const actions = signal<readonly Action[]>([]);
export const totals = signal<Totals>(NOTHING);
export const memoryHits = signal(0);
export const totalCost = computed(() => costOf(totals.value));

let number = 0;

/** A new action; the label goes into the calls that are made for it. */
export function begin(title: string): string {
  number += 1;
  const label = `a${number}`;
  const action: Action = { label, title, startedAt: Date.now(), requests: [], memoryHits: 0, totals: NOTHING };
  actions.value = [action, ...actions.value].slice(0, MOST_ACTIONS);
  return label;
}

let joined: { readonly title: string; readonly label: string; at: number } | undefined;

/** The same action as before where it goes on: scrolling, say. */
export function join(title: string): string {
  const now = performance.now();
  if (joined?.title !== title || now - joined.at > JOIN_MILLISECONDS) joined = { title, label: begin(title), at: now };
  joined.at = now;
  return joined.label;
}

/** For `open({ onRequest })`. */
export function record(request: RequestRecord): void {
  totals.value = added(totals.value, request);
  update(request.label, (action) => ({
    ...action,
    requests: [...action.requests, request].slice(-MOST_REQUESTS),
    totals: added(action.totals, request),
  }));
}

/** What a call says that it took: of that the memory's part is known from here alone. */
export function spent(label: string, { cacheHits }: Pick<ReadStats, 'cacheHits'>): void {
  if (cacheHits === 0) return;
  memoryHits.value += cacheHits;
  update(label, (action) => ({ ...action, memoryHits: action.memoryHits + cacheHits }));
}

export function clear(): void {
  actions.value = [];
  totals.value = NOTHING;
  memoryHits.value = 0;
  joined = undefined;
}

function update(label: string | undefined, change: (action: Action) => Action): void {
  const at = actions.value.findIndex((action) => action.label === label);
  if (at >= 0) actions.value = actions.value.with(at, change(actions.value[at]!));
}

/** Whether it went wrong. An object that is not there (yet) is an answer: the next commit, say. */
export function isFailure({ outcome, status }: RequestRecord): boolean {
  return outcome === 'failed' || (status !== null && status >= 400 && status !== 404);
}

export function added(sum: Totals, request: RequestRecord): Totals {
  const { kind, bytes } = request;
  return {
    lists: sum.lists + (kind === 'LIST' ? 1 : 0),
    gets: sum.gets + (kind === 'GET' ? 1 : 0),
    bytes: sum.bytes + bytes,
    failures: sum.failures + (isFailure(request) ? 1 : 0),
  };
}
