/** Rows in a scrolling element: only those that are seen exist, and their elements are used again. */

import {
  contentHeight,
  type Extent,
  isNearEnd,
  lastPosition,
  moved,
  revealed,
  type Scroll,
  scrollTopOf,
  settled,
  visibleRows,
} from './scroll';

/** What the rows are of. */
export interface RowSource {
  rows(): number;
  /** A new row with empty cells. */
  create(): HTMLElement;
  /** Fills it. */
  render(row: number, element: HTMLElement): void;
  /** Other rows are seen; and so many are laid out. */
  seen(first: number, end: number, laidOut: { readonly first: number; readonly end: number }): void;
  /** The rows have this width now. */
  resized?(width: number): void;
  /** Nobody scrolls any more. */
  rested(): void;
  /** A row is the active one: by a click or by the keys. */
  activated(row: number, by: 'pointer' | 'keys'): void;
  /** It is to be opened. */
  opened(row: number): void;
}

/** Rows above and below what is seen, so that none is missing while the browser scrolls ahead. */
const AROUND = 10;
/** After so long without a scroll event the bar is put where it tells the position. */
const REST_MILLISECONDS = 140;

let grids = 0;

export class RowGrid {
  readonly #scroller: HTMLElement;
  readonly #head: HTMLElement;
  readonly #body: HTMLElement;
  readonly #source: RowSource;
  readonly #id: string;
  readonly #rows = new Map<number, HTMLElement>();
  readonly #free: HTMLElement[] = [];
  readonly #resizes: ResizeObserver;
  readonly #listening = new AbortController();
  #scroll: Scroll = { position: 0, scrollTop: 0 };
  #extent: Extent = { rows: 0, rowHeight: 28, viewport: 0 };
  #active: number | undefined;
  #seen = '';
  #restTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(scroller: HTMLElement, head: HTMLElement, body: HTMLElement, source: RowSource) {
    grids += 1;
    this.#id = `grid${grids}`;
    this.#scroller = scroller;
    this.#head = head;
    this.#body = body;
    this.#source = source;
    const { signal } = this.#listening;
    scroller.addEventListener('scroll', () => this.#scrolled(), { passive: true, signal });
    scroller.addEventListener('keydown', (event) => this.#pressed(event), { signal });
    body.addEventListener('click', (event) => this.#clicked(event), { signal });
    body.addEventListener('dblclick', (event) => this.#clicked(event, true), { signal });
    this.#resizes = new ResizeObserver(() => this.resized());
    this.#resizes.observe(scroller);
    this.resized();
    // So that the keys work at once.
    if (document.activeElement === document.body) scroller.focus({ preventScroll: true });
  }

  dispose(): void {
    clearTimeout(this.#restTimer);
    this.#listening.abort();
    this.#resizes.disconnect();
  }

  get position(): number {
    return this.#scroll.position;
  }

  get firstRow(): number {
    return Math.floor(this.#scroll.position / this.#extent.rowHeight);
  }

  /** Rows that are seen whole, at least one. */
  get rowsSeen(): number {
    return Math.max(1, Math.floor(this.#extent.viewport / this.#extent.rowHeight));
  }

  get active(): number | undefined {
    return this.#active;
  }

  get isAtStart(): boolean {
    return this.#scroll.position < this.#extent.rowHeight / 2;
  }

  get isAtEnd(): boolean {
    return this.#scroll.position > lastPosition(this.#extent) - this.#extent.rowHeight / 2;
  }

  /** The number of rows has changed; so many of the new ones came before what is seen. */
  counted(before = 0): void {
    const { rowHeight } = this.#extent;
    this.#extent = { ...this.#extent, rows: this.#source.rows() };
    this.#scroller.setAttribute('aria-rowcount', String(this.#extent.rows + 1));
    this.#body.style.height = `${contentHeight(this.#extent)}px`;
    if (this.#active !== undefined && before !== 0) this.#active += before;
    this.#moveTo(this.#scroll.position + before * rowHeight);
    this.refresh();
  }

  /** Puts a row at the top. */
  showAtTop(row: number): void {
    this.#moveTo(row * this.#extent.rowHeight);
  }

  showEnd(): void {
    this.#moveTo(lastPosition(this.#extent));
  }

  /** Makes a row the active one, and scrolls as little as that takes. */
  activate(row: number | undefined, options: { readonly reveal: boolean }): void {
    const before = this.#active;
    this.#active = row;
    if (row === undefined) this.#scroller.removeAttribute('aria-activedescendant');
    if (row !== undefined && options.reveal) this.#moveTo(revealed(row, this.#scroll.position, this.#extent));
    if (before !== undefined) this.#renderIfShown(before);
    if (row !== undefined) this.#renderIfShown(row);
  }

  /** Renders again what is shown. */
  refresh(): void {
    for (const [row, element] of this.#rows) this.#render(row, element);
    this.#seen = '';
    this.#layOut();
  }

  /** Makes new elements: the columns have changed. */
  rebuild(): void {
    for (const element of this.#rows.values()) element.remove();
    for (const element of this.#free) element.remove();
    this.#rows.clear();
    this.#free.length = 0;
    this.#seen = '';
    this.#layOut();
  }

  resized(): void {
    const rowHeight = Number.parseFloat(getComputedStyle(this.#scroller).getPropertyValue('--row-height')) || 28;
    const viewport = Math.max(0, this.#scroller.clientHeight - this.#head.offsetHeight);
    const { position } = this.#scroll;
    const kept = (position / this.#extent.rowHeight) * rowHeight;
    this.#extent = { rows: this.#source.rows(), rowHeight, viewport };
    this.#body.style.height = `${contentHeight(this.#extent)}px`;
    this.#source.resized?.(this.#scroller.clientWidth);
    this.#moveTo(kept);
    this.refresh();
  }

  #scrolled(): void {
    const { scrollTop } = this.#scroller;
    if (scrollTop !== this.#scroll.scrollTop) {
      this.#scroll = moved(this.#scroll, scrollTop, this.#extent);
      if (isNearEnd(this.#scroll, this.#extent)) this.#settle();
      this.#layOut();
    }
    clearTimeout(this.#restTimer);
    this.#restTimer = setTimeout(() => {
      this.#settle();
      this.#layOut();
      this.#source.rested();
    }, REST_MILLISECONDS);
  }

  #moveTo(position: number): void {
    const kept = Math.min(Math.max(0, position), lastPosition(this.#extent));
    this.#scroller.scrollTop = scrollTopOf(kept, this.#extent);
    this.#scroll = { position: kept, scrollTop: this.#scroller.scrollTop };
    this.#layOut();
    clearTimeout(this.#restTimer);
    this.#restTimer = setTimeout(() => this.#source.rested(), REST_MILLISECONDS);
  }

  #settle(): void {
    const target = settled(this.#scroll, this.#extent);
    if (target === undefined) return;
    this.#scroller.scrollTop = target;
    this.#scroll = { position: this.#scroll.position, scrollTop: this.#scroller.scrollTop };
  }

  #layOut(): void {
    const { position, scrollTop } = this.#scroll;
    const { rowHeight } = this.#extent;
    const { first, end } = visibleRows(position, this.#extent, AROUND);
    for (const [row, element] of this.#rows) {
      if (row >= first && row < end) continue;
      this.#rows.delete(row);
      this.#free.push(element);
      // Nothing may be named that is not there.
      if (row === this.#active) this.#scroller.removeAttribute('aria-activedescendant');
    }
    const origin = scrollTop - position;
    for (let row = first; row < end; row++) {
      let element = this.#rows.get(row);
      if (!element) {
        element = this.#free.pop() ?? this.#body.appendChild(this.#source.create());
        element.hidden = false;
        this.#rows.set(row, element);
        this.#render(row, element);
      }
      const place = `translateY(${Math.round((row * rowHeight + origin) * 100) / 100}px)`;
      if (element.style.transform !== place) element.style.transform = place;
    }
    for (const element of this.#free) element.hidden = true;
    const seen = visibleRows(position, this.#extent, 0);
    const key = `${seen.first} ${seen.end}`;
    if (key === this.#seen) return;
    this.#seen = key;
    this.#source.seen(seen.first, seen.end, { first, end });
  }

  #renderIfShown(row: number): void {
    const element = this.#rows.get(row);
    if (element) this.#render(row, element);
  }

  #render(row: number, element: HTMLElement): void {
    const isActive = row === this.#active;
    const name = String(row);
    if (element.dataset.row !== name) {
      element.id = `${this.#id}-${row}`;
      element.dataset.row = name;
      element.setAttribute('aria-rowindex', String(row + 2));
    }
    if ((element.ariaSelected === 'true') !== isActive || element.ariaSelected === null) element.ariaSelected = String(isActive);
    if (isActive) this.#scroller.setAttribute('aria-activedescendant', element.id);
    this.#source.render(row, element);
  }

  #clicked(event: MouseEvent, opens = false): void {
    const target = event.target as Element;
    const row = Number(target.closest<HTMLElement>('[data-row]')?.dataset.row ?? NaN);
    if (Number.isNaN(row) || target.closest('button')) return;
    // A link in a row is opened elsewhere as everywhere.
    if (target.closest('a') && (event.metaKey || event.ctrlKey || event.shiftKey)) return;
    event.preventDefault();
    this.activate(row, { reveal: false });
    this.#source.activated(row, 'pointer');
    if (opens) this.#source.opened(row);
  }

  #pressed(event: KeyboardEvent): void {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const { rows } = this.#extent;
    if (rows === 0) return;
    const page = Math.max(1, this.rowsSeen - 1);
    const isSeen = this.#active !== undefined && this.#rows.has(this.#active);
    const from = isSeen ? this.#active! : this.firstRow - 1;
    const steps: Record<string, number> = {
      ArrowDown: from + 1,
      j: from + 1,
      ArrowUp: isSeen ? from - 1 : this.firstRow,
      k: isSeen ? from - 1 : this.firstRow,
      PageDown: from + page,
      PageUp: from - page,
      Home: 0,
      End: rows - 1,
    };
    if (event.key === 'Enter' || event.key === ' ') {
      if (this.#active === undefined) return;
      event.preventDefault();
      this.#source.opened(this.#active);
      return;
    }
    const row = Object.hasOwn(steps, event.key) ? steps[event.key] : undefined;
    if (row === undefined) return;
    event.preventDefault();
    const next = Math.min(Math.max(0, row), rows - 1);
    this.activate(next, { reveal: true });
    this.#source.activated(next, 'keys');
  }
}

