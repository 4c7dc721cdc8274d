/** What a user does with a list: the rows, their order and columns, jumps, the open item. Keeps the link in step. */

import { batch, computed, effect, signal, untracked } from '@preact/signals';
import type { Item } from 'klstore';

import { Finder } from '../find/finder';
import { go, note } from '../permalink/navigation';
import { type ListState, MOST_COLUMNS, type Order, type ValueTab } from '../permalink/permalink';
import { zone } from '../preferences/preferences';
import { begin, spent } from '../requests/log';
import { RowGrid, type RowSource } from '../rows/grid';
import { offsetOfRow, rowCount, rowOfOffset, rowsBefore } from '../rows/order';
import { messageOf } from '../ui/failure';
import { Live } from './live';
import { ListModel } from './model';
import { createRow, fillRow } from './row';

/** Pixels. */
const NARROWEST = 6;

/** Items that are looked at for one of a time. */
const MOST_LOOKED = 4_000n;

export type JumpKind = 'offset' | 'time' | 'nonce';

export class ListController implements RowSource {
  readonly model: ListModel;
  readonly live: Live;
  readonly finder: Finder;
  readonly order = signal<Order>('backwards');
  readonly columns = signal<readonly string[]>([]);
  /** The offset of the open item. */
  readonly item = signal<bigint | null>(null);
  readonly tab = signal<ValueTab | null>(null);
  readonly only = signal(false);
  readonly window = signal<readonly [number, number] | null>(null);
  /** The offsets of the rows that are seen. */
  readonly seenOffsets = signal<{ readonly first: bigint; readonly last: bigint } | null>(null);
  readonly isAtHead = signal(true);
  /** What a jump led to, for those who do not see it. */
  readonly said = signal('');
  /** Items that came in and are not in sight. */
  readonly unseen = computed(() => {
    const next = this.model.known.value.next;
    return next > this.#seenNext.value ? Number(next - this.#seenNext.value) : 0;
  });
  readonly #seenNext = signal(0n);
  readonly #stops: (() => void)[] = [];
  #grid: RowGrid | undefined;
  #at: bigint | null;
  #refreshing = 0;
  #valueWidth = 320;
  #lastFirst = 0n;

  constructor(model: ListModel, state: ListState) {
    this.model = model;
    this.live = new Live(model);
    this.finder = new Finder(model);
    this.order.value = state.order;
    this.columns.value = state.columns;
    this.item.value = state.item;
    this.tab.value = state.tab;
    this.only.value = state.only && state.find !== '';
    this.window.value = state.window;
    this.#at = state.at ?? state.item;
    this.finder.setQuery(state.find);
    void this.#open(state);
  }

  async #open(state: ListState): Promise<void> {
    await this.model.open(state);
    if (this.model.signal.aborted) return;
    // A link that only shows what it looks for has no rows that could rest.
    if (this.finder.isOn) void this.finder.search();
    if (this.#at !== null) this.#showAt(this.#at);
    if (state.follow && this.model.status.value !== 'error') this.live.start();
  }

  reopen(): void {
    void this.#open(this.#state());
  }

  dispose(): void {
    for (const stop of this.#stops) stop();
    cancelAnimationFrame(this.#refreshing);
    this.#grid?.dispose();
    this.finder.dispose();
    this.live.stop();
    this.model.dispose();
  }

  attach(scroller: HTMLElement, head: HTMLElement, body: HTMLElement): void {
    const grid = new RowGrid(scroller, head, body, this);
    this.#grid = grid;
    const { model, finder } = this;
    let bounds = model.shown.peek();
    this.#stops.push(
      effect(() => {
        const now = model.shown.value;
        untracked(() => this.#boundsChanged(grid, bounds, now));
        bounds = now;
      }),
      effect(() => {
        void [model.version.value, zone.value, finder.query.value];
        this.#refreshSoon();
      }),
      effect(() => {
        void [finder.matches.value, this.only.value, this.order.value];
        untracked(() => {
          grid.counted();
          this.#activateOpen();
        });
      }),
      effect(() => {
        void this.columns.value;
        untracked(() => grid.rebuild());
      }),
      effect(() => {
        void [this.order.value, this.columns.value, this.item.value, this.tab.value, this.only.value];
        void [this.window.value, finder.query.value, this.live.state.value];
        untracked(() => this.#noteState());
      }),
    );
    if (this.#at !== null) this.#showAt(this.#at);
  }

  // What the rows are of.

  rows(): number {
    return this.only.peek() ? this.finder.matches.peek().length : rowCount(this.model.shown.peek());
  }

  create(): HTMLElement {
    return createRow(this.columns.peek());
  }

  render(row: number, element: HTMLElement): void {
    const offset = this.offsetOf(row);
    const state = this.only.peek() ? (this.#match(row) ?? 'loading') : this.model.rowState(offset);
    const { finder } = this;
    const isMatch = finder.isOn && state !== 'loading' && !(state instanceof Error) && finder.isMatch(state);
    fillRow(element, {
      offset,
      state,
      columns: this.columns.peek(),
      zone: zone.peek(),
      query: isMatch ? finder.query.peek() : '',
      isMatch,
      isOpen: this.item.peek() === offset,
      width: this.#valueWidth,
    });
  }

  seen(first: number, end: number, laidOut: { readonly first: number; readonly end: number }): void {
    if (end <= first) {
      this.seenOffsets.value = null;
      return;
    }
    const [one, other] = [this.offsetOf(first), this.offsetOf(end - 1)];
    const seen = one < other ? { first: one, last: other } : { first: other, last: one };
    this.seenOffsets.value = seen;
    this.#noteHead();
    if (this.only.peek()) return;
    const towards: Order = seen.first >= this.#lastFirst ? 'forwards' : 'backwards';
    this.#lastFirst = seen.first;
    const [begin, last] = [this.offsetOf(laidOut.first), this.offsetOf(laidOut.end - 1)];
    this.model.want(begin < last ? begin : last, begin < last ? last : begin, towards);
  }

  rested(): void {
    this.#noteHead();
    this.#noteState();
    if (this.finder.isOn) void this.finder.search();
  }

  activated(row: number, by: 'pointer' | 'keys'): void {
    // What is open beside the rows changes with them.
    if (by === 'pointer' || this.item.peek() !== null) this.open(this.offsetOf(row));
  }

  opened(row: number): void {
    this.open(this.offsetOf(row));
  }

  resized(width: number): void {
    // No character of the rows' font is narrower.
    this.#valueWidth = Math.ceil(width / NARROWEST);
  }

  // What a user does.

  open(offset: bigint): void {
    this.item.value = offset;
    this.#grid?.refresh();
  }

  /** Opens an item, and scrolls to its row. */
  show(offset: bigint): void {
    this.item.value = offset;
    const row = this.#rowOf(offset);
    if (row !== undefined) this.#grid?.activate(row, { reveal: true });
    this.#grid?.refresh();
  }

  close(): void {
    this.item.value = null;
    this.#grid?.refresh();
  }

  setOrder(order: Order): void {
    if (order === this.order.peek()) return;
    const seen = this.seenOffsets.peek();
    const wasAtHead = this.#grid?.isAtStart ?? true;
    this.order.value = order;
    // At the beginning of the one order the beginning of the other is wanted; elsewhere the same items.
    if (wasAtHead && !this.only.peek()) this.#grid?.showAtTop(0);
    else if (seen) this.#showAt(order === 'forwards' ? seen.first : seen.last);
  }

  async jump(kind: JumpKind, value: bigint): Promise<string> {
    if (kind === 'offset') await this.#lookBeyond(value);
    const said = kind === 'offset' ? this.jumpToOffset(value) : await this.#jumpBy(kind, value);
    this.said.value = said;
    return said;
  }

  /** Past what is known the list may have grown meanwhile. */
  async #lookBeyond(offset: bigint): Promise<void> {
    const { first, next } = this.model.known.peek();
    if (offset < first || offset >= next) await this.model.refresh();
  }

  jumpToOffset(offset: bigint): string {
    this.model.showAll();
    this.only.value = false;
    const { first, next } = this.model.shown.peek();
    if (next <= first) return 'There are no items.';
    const there = offset < first ? first : offset >= next ? next - 1n : offset;
    this.#showAt(there, true);
    if (there === offset) return `At offset ${offset}.`;
    return there === first ? `The list begins at offset ${first}.` : `The list ends at offset ${there}.`;
  }

  async #jumpBy(kind: 'time' | 'nonce', value: bigint): Promise<string> {
    const start = kind === 'time' ? { startTimestamp: value } : { startNonce: value };
    const label = begin(`Jump to ${kind}`);
    const { model } = this;
    const page = await model.store.readPage(model.keyspace, model.key, {
      ...start,
      maxItems: 1,
      signal: model.signal,
      label,
    });
    spent(label, page.stats);
    const found = page.items[0];
    if (!found) {
      const { next } = model.known.peek();
      this.jumpToOffset(next - 1n);
      return kind === 'time' ? 'Nothing is as late: this is the end.' : 'No nonce is as high: this is the end.';
    }
    model.grew(found.offset + 1n);
    this.jumpToOffset(found.offset);
    return `At offset ${found.offset}.`;
  }

  /** To the first item of a time among some that are not sorted by it. */
  async jumpAmong(first: bigint, count: bigint, from: bigint, to: bigint): Promise<void> {
    const { model } = this;
    const label = begin('Jump to time');
    const maxItems = Number(count < MOST_LOOKED ? count : MOST_LOOKED);
    const page = await model.store.readPage(model.keyspace, model.key, {
      startOffset: first,
      maxItems,
      signal: model.signal,
      label,
    });
    spent(label, page.stats);
    const found =
      page.items.find(({ timestamp }) => timestamp >= from && timestamp <= to) ??
      page.items.find(({ timestamp }) => timestamp >= from);
    this.said.value = this.jumpToOffset(found?.offset ?? first);
  }

  /** Where new items come in, looked for anew. */
  async renewHead(): Promise<void> {
    if (this.live.state.peek() === 'off')
      await this.model.refresh().catch((error: unknown) => (this.said.value = messageOf(error)));
    this.showHead();
  }

  showHead(): void {
    this.model.showAll();
    this.only.value = false;
    if (this.order.peek() === 'backwards') this.#grid?.showAtTop(0);
    else this.#grid?.showEnd();
    this.#noteHead();
  }

  toggleLive(): void {
    if (this.live.state.peek() === 'off') {
      this.live.start();
      this.showHead();
    } else {
      this.live.stop();
    }
  }

  toggleColumn(pointer: string): void {
    const columns = this.columns.peek();
    if (columns.includes(pointer)) this.columns.value = columns.filter((column) => column !== pointer);
    else if (columns.length < MOST_COLUMNS) this.columns.value = [...columns, pointer];
  }

  find(query: string): void {
    batch(() => {
      this.finder.setQuery(query);
      if (!this.finder.isOn) this.only.value = false;
    });
  }

  /** To the next match from what is open or seen. */
  step(direction: 1 | -1): void {
    const matches = this.finder.matches.peek();
    if (matches.length === 0) return;
    const from = this.item.peek() ?? this.seenOffsets.peek()?.first ?? 0n;
    const sign = this.order.peek() === 'forwards' ? direction : -direction;
    const next =
      sign > 0
        ? (matches.find(({ offset }) => offset > from) ?? matches[0]!)
        : (matches.findLast(({ offset }) => offset < from) ?? matches.at(-1)!);
    this.item.value = next.offset;
    this.#showAt(next.offset, true);
    this.said.value = `Match at offset ${next.offset}.`;
  }

  /** Where a scan starts: after the rows that are seen. */
  scan(order: Order, limit: number): void {
    const scan = this.finder.scan.peek();
    const seen = this.seenOffsets.peek();
    let from = order === 'forwards' ? seen?.first : seen?.last;
    // A further scan the same way goes on after the one before.
    if (scan?.order === order && scan.last !== undefined) from = order === 'forwards' ? scan.last + 1n : scan.last - 1n;
    if (from !== undefined && from < 0n) return;
    void this.finder.read(from, order, limit);
  }

  focus(): void {
    document.querySelector<HTMLElement>('[data-testid=rows]')?.focus();
  }

  offsetOf(row: number): bigint {
    if (this.only.peek()) return this.#match(row)?.offset ?? 0n;
    return offsetOfRow(row, this.order.peek(), this.model.shown.peek());
  }

  #match(row: number): Item | undefined {
    const matches = this.finder.matches.peek();
    return matches[this.order.peek() === 'forwards' ? row : matches.length - 1 - row];
  }

  #rowOf(offset: bigint): number | undefined {
    if (!this.only.peek()) return rowOfOffset(offset, this.order.peek(), this.model.shown.peek());
    const matches = this.finder.matches.peek();
    const at = matches.findIndex((match) => match.offset === offset);
    if (at < 0) return undefined;
    return this.order.peek() === 'forwards' ? at : matches.length - 1 - at;
  }

  /** Puts an item at the top, and may make its row the active one. */
  #showAt(offset: bigint, activates = false): void {
    const row = this.#rowOf(offset);
    if (row === undefined) return;
    this.#grid?.showAtTop(row);
    if (activates || this.item.peek() === offset) this.#grid?.activate(row, { reveal: true });
  }

  #activateOpen(): void {
    const item = this.item.peek();
    this.#grid?.activate(item === null ? undefined : this.#rowOf(item), { reveal: false });
  }

  #boundsChanged(grid: RowGrid, before: { first: bigint; next: bigint }, now: { first: bigint; next: bigint }): void {
    if (this.only.peek()) return;
    const order = this.order.peek();
    const isFirst = before.next === before.first;
    const isTail = order === 'forwards' && this.live.state.peek() === 'live' && grid.isAtEnd;
    const staysAtHead = order === 'backwards' && grid.isAtStart;
    const above = isFirst || staysAtHead ? 0 : rowsBefore(order, before, now);
    grid.counted(above);
    if (isFirst && this.#at !== null) this.#showAt(this.#at);
    else if (isTail) grid.showEnd();
    this.#noteHead();
    if (staysAtHead) this.#activateOpen();
  }

  #noteHead(): void {
    const grid = this.#grid;
    if (!grid) return;
    const { next } = this.model.shown.peek();
    this.isAtHead.value = this.order.peek() === 'backwards' ? grid.isAtStart : grid.isAtEnd;
    if (this.isAtHead.value || this.#seenNext.peek() === 0n || this.live.state.peek() === 'off')
      this.#seenNext.value = next;
  }

  #refreshSoon(): void {
    this.#refreshing ||= requestAnimationFrame(() => {
      this.#refreshing = 0;
      this.#grid?.refresh();
    });
  }

  #state(): ListState {
    const seen = this.seenOffsets.peek();
    const isAtStart = this.#grid?.isAtStart ?? this.#at === null;
    const at = isAtStart || !seen ? null : this.order.peek() === 'forwards' ? seen.first : seen.last;
    return {
      order: this.order.peek(),
      at: this.only.peek() || !this.model.isSettled.peek() ? this.#at : at,
      item: this.item.peek(),
      tab: this.tab.peek(),
      follow: this.live.state.peek() !== 'off',
      columns: this.columns.peek(),
      find: this.finder.query.peek(),
      only: this.only.peek(),
      window: this.window.peek(),
    };
  }

  #noteState(): void {
    const { keyspace, key } = this.model;
    const state = this.#state();
    if (this.model.isSettled.peek()) this.#at = state.at;
    note({ view: 'list', keyspace, key, state });
  }

  /** Back to the keys. */
  leave(): void {
    go({ view: 'keys', keyspace: this.model.keyspace, search: '' });
  }
}
