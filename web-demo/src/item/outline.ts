/** A JSON value as lines of a tree: bounded in depth and number whatever the value is. */

import { WrittenNumber } from './content';
import { pointerOf } from './pointer';

export type Kind = 'object' | 'array' | 'string' | 'number' | 'boolean' | 'null';

export interface Line {
  readonly depth: number;
  /** The field's name or number; `null` for the whole value. */
  readonly name: string | null;
  readonly pointer: string;
  readonly kind: Kind;
  /** A scalar's text; of others how many parts there are. */
  readonly text: string;
  readonly parts: number;
  readonly open: boolean;
  /** Of a line that stands for what is not shown: why. */
  readonly left?: 'more' | 'depth' | 'nodes';
}

export const DEEPEST = 32;
export const MOST_LINES = 2_000;
/** Parts of one object or array that are shown at first. */
export const FIRST_PARTS = 100;
const LONGEST_TEXT = 2_000;
const LONGEST_NAME = 200;

export interface Opened {
  /** Pointers whose state is not the usual one: open where it is closed by itself, or closed. */
  readonly toggled: ReadonlySet<string>;
  /** How many parts are shown, where it is not the usual number. */
  readonly shown: ReadonlyMap<string, number>;
}

/** Objects and arrays of the first two levels are open by themselves. */
export function isOpen(depth: number, pointer: string, { toggled }: Opened): boolean {
  return depth < 2 !== toggled.has(pointer);
}

export function outline(value: unknown, opened: Opened): Line[] {
  const lines: Line[] = [];
  add(lines, value, null, [], opened);
  return lines;
}

function add(lines: Line[], value: unknown, name: string | null, path: readonly string[], opened: Opened): void {
  const depth = path.length;
  const pointer = pointerOf(path);
  const kind = kindOf(value);
  const shownName = name === null ? null : cut(name, LONGEST_NAME);
  const base = { depth, name: shownName, pointer, kind };
  if (kind !== 'object' && kind !== 'array') {
    lines.push({ ...base, text: scalarText(value), parts: 0, open: false });
    return;
  }
  const names = Array.isArray(value) ? undefined : Object.keys(value as object);
  const parts = names?.length ?? (value as unknown[]).length;
  const open = parts > 0 && isOpen(depth, pointer, opened);
  lines.push({ ...base, text: kind === 'array' ? `[${parts}]` : `{${parts}}`, parts, open });
  if (!open) return;
  const rest = (left: 'more' | 'depth' | 'nodes', hidden: number) =>
    lines.push({ depth: depth + 1, name: null, pointer, kind, text: '', parts: hidden, open: false, left });
  if (depth + 1 > DEEPEST) {
    rest('depth', parts);
    return;
  }
  const shown = Math.min(parts, opened.shown.get(pointer) ?? FIRST_PARTS);
  for (let number = 0; number < shown; number++) {
    if (lines.length >= MOST_LINES) {
      if (!lines.at(-1)?.left) rest('nodes', parts - number);
      return;
    }
    const part = names ? names[number]! : String(number);
    add(lines, (value as Record<string, unknown>)[part], part, [...path, part], opened);
  }
  if (shown < parts) rest('more', parts - shown);
}

function kindOf(value: unknown): Kind {
  if (value === null || value === undefined) return 'null';
  if (value instanceof WrittenNumber) return 'number';
  if (Array.isArray(value)) return 'array';
  const type = typeof value;
  return type === 'object' || type === 'string' || type === 'number' || type === 'boolean' ? type : 'null';
}

function scalarText(value: unknown): string {
  if (value instanceof WrittenNumber) return value.source;
  return typeof value === 'string' ? JSON.stringify(cut(value, LONGEST_TEXT)) : String(value);
}

function cut(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most)}…` : text;
}
