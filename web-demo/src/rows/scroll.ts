/**
 * From where a scroll bar stands to which row is at the top, for more rows than a browser lets an element be high.
 *
 * Positions are pixels in the list as if it stood there whole. Near both ends one pixel of scrolling is one of the list;
 * between them the content is compressed. So that small steps are exact there too, rows are laid out from an `origin`
 * that stays while somebody scrolls by hand, and only a drag of the scroll bar goes through the compressed mapping.
 */

/** Chromium, Firefox and Safari all take this height; the lowest limit of them is above 17 million. */
export const MOST_PIXELS = 8_000_000;
/** At both ends, uncompressed. */
const EXACT_PIXELS = 1_000_000;

export interface Extent {
  readonly rows: number;
  readonly rowHeight: number;
  /** Height of what is seen of the rows. */
  readonly viewport: number;
}

export interface Scroll {
  /** Position at the top of what is seen. */
  readonly position: number;
  /** Where the bar stands. */
  readonly scrollTop: number;
}

/** Pixels of all rows. */
export function fullHeight({ rows, rowHeight }: Extent): number {
  return rows * rowHeight;
}

/** Pixels of the element that scrolls. */
export function contentHeight(extent: Extent): number {
  return Math.min(fullHeight(extent), MOST_PIXELS);
}

export function lastPosition(extent: Extent): number {
  return Math.max(0, fullHeight(extent) - extent.viewport);
}

function lastScrollTop(extent: Extent): number {
  return Math.max(0, contentHeight(extent) - extent.viewport);
}

export function isCompressed(extent: Extent): boolean {
  return fullHeight(extent) > MOST_PIXELS;
}

export function scrollTopOf(position: number, extent: Extent): number {
  const [last, lastTop] = [lastPosition(extent), lastScrollTop(extent)];
  const at = clamp(position, 0, last);
  if (!isCompressed(extent) || at <= EXACT_PIXELS) return Math.min(at, lastTop);
  if (at >= last - EXACT_PIXELS) return lastTop - (last - at);
  const ratio = (lastTop - 2 * EXACT_PIXELS) / (last - 2 * EXACT_PIXELS);
  return EXACT_PIXELS + (at - EXACT_PIXELS) * ratio;
}

export function positionOf(scrollTop: number, extent: Extent): number {
  const [last, lastTop] = [lastPosition(extent), lastScrollTop(extent)];
  const top = clamp(scrollTop, 0, lastTop);
  if (!isCompressed(extent) || top <= EXACT_PIXELS) return Math.min(top, last);
  if (top >= lastTop - EXACT_PIXELS) return last - (lastTop - top);
  const ratio = (last - 2 * EXACT_PIXELS) / (lastTop - 2 * EXACT_PIXELS);
  return EXACT_PIXELS + (top - EXACT_PIXELS) * ratio;
}

/** After the bar has moved: by a wheel, keys or a finger pixel by pixel, by a drag of the bar in proportion. */
export function moved(before: Scroll, scrollTop: number, extent: Extent): Scroll {
  const delta = scrollTop - before.scrollTop;
  const isDrag = Math.abs(delta) > dragFrom(extent);
  const position = isDrag ? positionOf(scrollTop, extent) : before.position + delta;
  return { position: clamp(position, 0, lastPosition(extent)), scrollTop };
}

/** One pixel of the scroll bar moves the content further than any wheel does in a frame: half of that tells them apart. */
function dragFrom(extent: Extent): number {
  return Math.max(2_000, contentHeight(extent) / Math.max(1, extent.viewport) / 2);
}

/** Where the bar is to be put once nobody moves it, so that it tells the position again; undefined where it does. */
export function settled({ position, scrollTop }: Scroll, extent: Extent): number | undefined {
  const target = scrollTopOf(position, extent);
  return Math.abs(target - scrollTop) > 1 ? target : undefined;
}

/** Whether the bar has so little way left that it must be put right at once. */
export function isNearEnd({ position, scrollTop }: Scroll, extent: Extent): boolean {
  const target = scrollTopOf(position, extent);
  if (Math.abs(target - scrollTop) <= 1) return false;
  const margin = extent.viewport * 2;
  return scrollTop < margin || scrollTop > lastScrollTop(extent) - margin;
}

/** Rows to lay out: those that are seen, and some around them. */
export function visibleRows(position: number, extent: Extent, around: number): { first: number; end: number } {
  const { rows, rowHeight, viewport } = extent;
  const first = Math.floor(position / rowHeight) - around;
  const end = Math.ceil((position + viewport) / rowHeight) + around;
  return { first: clamp(first, 0, rows), end: clamp(end, 0, rows) };
}

/** The position at which a row is seen whole, nearest to the present one. */
export function revealed(row: number, position: number, extent: Extent): number {
  const top = row * extent.rowHeight;
  const bottom = top + extent.rowHeight - extent.viewport;
  return clamp(clamp(position, bottom, top), 0, lastPosition(extent));
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), Math.max(least, most));
}
