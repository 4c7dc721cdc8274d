import { describe, expect, it } from 'vitest';

import {
  contentHeight,
  type Extent,
  lastPosition,
  MOST_PIXELS,
  moved,
  positionOf,
  revealed,
  scrollTopOf,
  settled,
  visibleRows,
} from './scroll';

const extent = (rows: number): Extent => ({ rows, rowHeight: 28, viewport: 600 });
const HUGE = extent(100_000_000);

describe('the scroll bar', () => {
  it('is one to one for lists that a browser can hold', () => {
    const small = extent(1_000);
    expect(contentHeight(small)).toBe(28_000);
    for (const position of [0, 1, 12_345, lastPosition(small)]) expect(scrollTopOf(position, small)).toBe(position);
  });

  it('never asks for an element that is too high', () => {
    expect(contentHeight(HUGE)).toBe(MOST_PIXELS);
    expect(contentHeight(extent(2 ** 46))).toBe(MOST_PIXELS);
  });

  it('reaches every row of a huge list, there and back', () => {
    for (let step = 0; step <= 1_000; step++) {
      const position = (lastPosition(HUGE) / 1_000) * step;
      const top = scrollTopOf(position, HUGE);
      expect(top).toBeGreaterThanOrEqual(0);
      expect(top).toBeLessThanOrEqual(MOST_PIXELS - HUGE.viewport);
      expect(Math.abs(positionOf(top, HUGE) - position)).toBeLessThan(0.01);
    }
  });

  it('only ever moves on in the same direction', () => {
    let before = -1;
    for (let position = 0; position < lastPosition(HUGE); position += 1_234_567) {
      const top = scrollTopOf(position, HUGE);
      expect(top).toBeGreaterThan(before);
      before = top;
    }
  });

  it('is exact to the pixel for a wheel, in the middle of a huge list too', () => {
    const position = 1_400_000_123;
    const scroll = { position, scrollTop: scrollTopOf(position, HUGE) };
    const after = moved(moved(scroll, scroll.scrollTop + 120, HUGE), scroll.scrollTop + 77, HUGE);
    expect(after.position).toBe(position + 77);
  });

  it('goes in proportion for a drag of the bar', () => {
    const after = moved({ position: 0, scrollTop: 0 }, 4_000_000, HUGE);
    expect(after.position / lastPosition(HUGE)).toBeCloseTo(0.5, 3);
    expect(moved(after, MOST_PIXELS, HUGE).position).toBe(lastPosition(HUGE));
  });

  it('stands still at both ends', () => {
    expect(moved({ position: 50, scrollTop: 50 }, 0, HUGE).position).toBe(0);
    expect(moved({ position: 10, scrollTop: 60 }, 0, HUGE).position).toBe(0);
  });

  it('is put right once it rests, without moving the rows', () => {
    const wandered = { position: 1_400_000_000, scrollTop: 3_000_000 };
    const target = settled(wandered, HUGE);
    expect(target).toBeCloseTo(scrollTopOf(1_400_000_000, HUGE), 6);
    expect(settled({ ...wandered, scrollTop: target! }, HUGE)).toBeUndefined();
  });
});

describe('rows', () => {
  it('that are seen are those at the position', () => {
    expect(visibleRows(280, extent(1_000), 0)).toEqual({ first: 10, end: 32 });
    expect(visibleRows(0, extent(5), 10)).toEqual({ first: 0, end: 5 });
    expect(visibleRows(0, extent(0), 10)).toEqual({ first: 0, end: 0 });
  });

  it('come into sight by the shortest way', () => {
    expect(revealed(5, 280, extent(1_000))).toBe(140);
    expect(revealed(100, 280, extent(1_000))).toBe(100 * 28 + 28 - 600);
    expect(revealed(15, 280, extent(1_000))).toBe(280);
  });
});
