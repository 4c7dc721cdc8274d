import { describe, expect, it } from 'vitest';

import { DEEPEST, FIRST_PARTS, MOST_LINES, outline } from './outline';
import { isPointer, lookUp, pathOf, pointerOf, titleOf } from './pointer';

const nothing = { toggled: new Set<string>(), shown: new Map<string, number>() };

describe('a tree', () => {
  it('has a line for each part that is open', () => {
    const lines = outline({ a: 1, b: { c: [true, null] }, 'd/e~': 'x' }, nothing);
    expect(lines.map(({ pointer, text }) => `${pointer} ${text}`)).toEqual([
      ' {3}',
      '/a 1',
      '/b {1}',
      '/b/c [2]',
      '/d~1e~0 "x"',
    ]);
    const opened = outline({ b: { c: [true] } }, { ...nothing, toggled: new Set(['/b/c']) });
    expect(opened.at(-1)).toMatchObject({ pointer: '/b/c/0', kind: 'boolean', text: 'true' });
    const closed = outline({ b: { c: [true] } }, { ...nothing, toggled: new Set(['']) });
    expect(closed).toHaveLength(1);
  });

  it('is bounded in depth', () => {
    let value: unknown = 1;
    const toggled = new Set<string>();
    for (let depth = 0; depth < 10_000; depth++) value = [value];
    for (let depth = 2; depth < 1_000; depth++) toggled.add('/0'.repeat(depth));
    const lines = outline(value, { ...nothing, toggled });
    expect(lines.length).toBeLessThanOrEqual(DEEPEST + 2);
    expect(lines.at(-1)?.left).toBe('depth');
  });

  it('is bounded in lines, and shows large parts bit by bit', () => {
    const wide = Array.from({ length: 100_000 }, (_, at) => at);
    expect(outline(wide, nothing)).toHaveLength(FIRST_PARTS + 2);
    expect(outline(wide, nothing).at(-1)).toMatchObject({ left: 'more', parts: 100_000 - FIRST_PARTS });
    const all = outline(wide, { ...nothing, shown: new Map([['', 1e9]]) });
    expect(all.length).toBeLessThanOrEqual(MOST_LINES + 1);
    expect(all.at(-1)?.left).toBe('nodes');
  });
});

describe('a pointer', () => {
  it('finds what it was made of', () => {
    const path = ['a/b', '0', '~1', ''];
    expect(pathOf(pointerOf(path))).toEqual(path);
    expect(isPointer(pointerOf(path))).toBe(true);
    expect(lookUp({ 'a/b': [{ '~1': { '': 5 } }] }, path)).toBe(5);
    expect(titleOf('/a/b')).toBe('a.b');
  });

  it('finds own fields only', () => {
    expect(lookUp({}, ['constructor'])).toBeUndefined();
    expect(lookUp('text', ['length'])).toBeUndefined();
    for (const text of ['', 'a', '/~2', `/${'x'.repeat(600)}`, '/x'.repeat(20)]) expect(isPointer(text)).toBe(false);
  });
});
