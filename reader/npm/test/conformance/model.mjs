// What a list is: a vector of items. The plainest way to say which page the package has to give.

/** Value bytes after which a page is cut, unless it holds only one item. */
const PAGE_VALUE_BYTES = 8 * 2 ** 20;

/** Where reading starts: forwards the index of its first item, backwards one more. */
export function start(items, order, { startOffset, startTimestamp, startNonce } = {}) {
  const end = items.length;
  const first = (matches) => {
    const index = items.findIndex(matches);
    return index < 0 ? end : index;
  };
  const given = (value, position) => (value === undefined ? [] : [position(value)]);
  const clamp = (offset) => (offset > BigInt(end) ? end : Number(offset));
  if (order === 'forwards') {
    return Math.max(
      0,
      ...given(startOffset, clamp),
      ...given(startTimestamp, (from) => first(({ timestamp }) => timestamp >= from)),
      ...given(startNonce, (from) => first(({ nonce }) => nonce !== null && nonce >= from)),
    );
  }
  return Math.min(
    end,
    ...given(startOffset, (offset) => clamp(offset + 1n)),
    ...given(startTimestamp, (from) => first(({ timestamp }) => timestamp > from)),
    ...given(startNonce, (from) => first(({ nonce }) => nonce !== null && nonce > from)),
  );
}

/** The page there, of the list from item `begin` on, and where the next one begins; `null` at the end of the list. */
export function page(items, order, at, maxItems, begin = 0) {
  const live = Math.min(Math.max(at, begin), items.length);
  const rest = order === 'forwards' ? items.slice(live) : items.slice(begin, live).reverse();
  const found = [];
  let bytes = 0;
  for (const item of rest) {
    bytes += item.value.length;
    if (found.length === maxItems || (bytes > PAGE_VALUE_BYTES && found.length > 0)) {
      return { items: found, next: Number(item.offset) + (order === 'backwards' ? 1 : 0) };
    }
    found.push(item);
  }
  return { items: found, next: null };
}
