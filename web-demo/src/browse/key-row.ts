/** One key as a row. */

import type { KeyInfo } from 'klstore';

import { formatAge, formatBytes, formatCount, formatTime } from '../preferences/format';

export type KeyState = KeyInfo | 'loading' | 'none' | Error;

interface Cells {
  readonly link: HTMLAnchorElement;
  readonly items: HTMLElement;
  readonly size: HTMLElement;
  readonly age: HTMLElement;
}

const cellsOf = new WeakMap<HTMLElement, Cells>();

export function createKeyRow(): HTMLElement {
  const row = document.createElement('div');
  row.className = 'row';
  row.setAttribute('role', 'row');
  row.dataset.testid = 'key';
  const cell = (kind: string, role = 'gridcell'): HTMLElement => {
    const element = row.appendChild(document.createElement('div'));
    element.className = `cell cell-${kind}`;
    element.setAttribute('role', role);
    element.dataset.testid = `key-${kind}`;
    return element;
  };
  const link = document.createElement('a');
  link.tabIndex = -1;
  cell('name').append(link);
  cellsOf.set(row, { link, items: cell('items'), size: cell('size'), age: cell('age') });
  return row;
}

export function fillKeyRow(row: HTMLElement, key: string, href: string, state: KeyState): void {
  const cells = cellsOf.get(row);
  if (!cells) return;
  row.dataset.key = key;
  cells.link.href = href;
  cells.link.textContent = key;
  const isKnown = typeof state === 'object' && !(state instanceof Error);
  row.dataset.state = state instanceof Error ? 'error' : typeof state === 'string' ? state : 'ready';
  cells.items.textContent = isKnown
    ? formatCount(state.itemCount)
    : state === 'none'
      ? 'none'
      : state instanceof Error
        ? 'could not be read'
        : '';
  cells.items.title = state instanceof Error ? state.message : '';
  cells.size.textContent = isKnown ? formatBytes(state.valueBytes) : '';
  const newest = isKnown ? state.maxTimestamp : null;
  cells.age.textContent = newest === null ? '' : formatAge(newest, Date.now());
  cells.age.title = newest === null ? '' : `${formatTime(newest, 'utc')} UTC`;
}
