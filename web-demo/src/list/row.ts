/** One row of a list as elements. What comes from the list becomes text nodes only. */

import { marksIn } from '../find/matcher';
import { fieldsOf, fieldText, previewOf } from '../item/content';
import { lookUp, pathOf } from '../item/pointer';
import { formatTime, type Zone } from '../preferences/format';
import type { RowState } from './model';

export interface RowContent {
  readonly offset: bigint;
  readonly state: RowState;
  readonly columns: readonly string[];
  readonly zone: Zone;
  /** Marked in the value; nothing where it is empty. */
  readonly query: string;
  readonly isMatch: boolean;
  readonly isOpen: boolean;
  /** Characters of the value that can be seen. */
  readonly width: number;
}

interface Cells {
  readonly offset: HTMLElement;
  readonly time: HTMLElement;
  readonly nonce: HTMLElement;
  readonly fields: readonly HTMLElement[];
  readonly value: HTMLElement;
}

const cellsOf = new WeakMap<HTMLElement, Cells>();

export function createRow(columns: readonly string[]): HTMLElement {
  const row = document.createElement('div');
  row.className = 'row';
  row.setAttribute('role', 'row');
  row.dataset.testid = 'row';
  const cell = (kind: string): HTMLElement => {
    const element = row.appendChild(document.createElement('div'));
    element.className = `cell cell-${kind}`;
    element.setAttribute('role', 'gridcell');
    element.dataset.testid = `cell-${kind}`;
    return element;
  };
  cellsOf.set(row, {
    offset: cell('offset'),
    time: cell('time'),
    nonce: cell('nonce'),
    fields: columns.map(() => cell('field')),
    value: cell('value'),
  });
  return row;
}

export function fillRow(row: HTMLElement, content: RowContent): void {
  const cells = cellsOf.get(row);
  if (!cells) return;
  const { offset, state, columns, zone, query } = content;
  const name = String(offset);
  if (row.dataset.offset !== name) row.dataset.offset = name;
  row.classList.toggle('is-open', content.isOpen);
  row.classList.toggle('is-match', content.isMatch);
  setText(cells.offset, name);
  if (state === 'loading' || state instanceof Error) {
    setState(row, state === 'loading' ? 'loading' : 'error');
    for (const cell of [cells.time, cells.nonce, ...cells.fields]) setText(cell, '');
    setText(cells.value, state === 'loading' ? '' : 'could not be read');
    return;
  }
  setState(row, 'ready');
  setText(cells.time, formatTime(state.timestamp, zone));
  setText(cells.nonce, state.nonce === null ? '' : String(state.nonce));
  if (columns.length > 0) {
    const value = fieldsOf(state);
    columns.forEach((pointer, number) => {
      const field = lookUp(value, pathOf(pointer));
      const cell = cells.fields[number]!;
      cell.classList.toggle('is-number', typeof field === 'number');
      setText(cell, fieldText(field));
    });
  }
  const preview = previewOf(state, content.width);
  const marks = marksIn(preview, query);
  if (marks.length === 0) setText(cells.value, preview);
  else cells.value.replaceChildren(...marked(preview, marks));
}

/** Only where it changes: each change of an attribute costs a look at the styles. */
function setState(row: HTMLElement, state: string): void {
  if (row.dataset.state !== state) row.dataset.state = state;
}

function setText(cell: HTMLElement, text: string): void {
  const { firstChild } = cell;
  if (firstChild instanceof Text && cell.childNodes.length === 1) {
    if (firstChild.data !== text) firstChild.data = text;
  } else {
    cell.textContent = text;
  }
}

function marked(text: string, marks: readonly (readonly [number, number])[]): Node[] {
  const nodes: Node[] = [];
  let at = 0;
  for (const [begin, end] of marks) {
    nodes.push(document.createTextNode(text.slice(at, begin)));
    const mark = document.createElement('mark');
    mark.textContent = text.slice(begin, end);
    nodes.push(mark);
    at = end;
  }
  nodes.push(document.createTextNode(text.slice(at)));
  return nodes;
}
