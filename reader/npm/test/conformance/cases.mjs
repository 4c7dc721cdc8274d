// What a reader of lists promises, in every runtime alike: the read cases of tests/src/conformance, through the package.

import { equal, equalItems, holds, rejects } from './check.mjs';
import { EMPTY_KEYSPACE, inOrder, itemsOf, KEYSPACE, LISTS, liveItems, NAMES_KEYSPACE, ODD_NAMES } from './data.mjs';
import * as model from './model.mjs';

const BOTH_ORDERS = ['forwards', 'backwards'];
const MOST_U64 = 2n ** 64n - 1n;
const POLLING = { interval: 20, maxInterval: 100 };

/** Each is `{ name, run }`; `run` is given a store, and `open` for others with other options. */
export const cases = [
  ['what does not exist is said or empty', whatDoesNotExist],
  ['pages in both orders', pagesInBothOrders],
  ['seeks by offset, timestamp and nonce', seeks],
  ['starts beyond what numbers hold', startsAtTheEdges],
  ['nonces of all widths', ({ store }) => wholeList(store, 'nonces', 3)],
  ['timestamps of all signs', timestamps],
  ['any bytes are values', anyBytes],
  ['large values are cut into pages', largeValues],
  ['each codec reads the same', codecs],
  ['a trimmed list begins later', trimmed],
  ['stat tells of keys and keyspaces', stats],
  ['pages and items are iterated', iterates],
  ['a loop is left early', leavesEarly],
  ['a continuation goes on in a list that grows', continuationsInAGrowingList],
  ['continuations of others are refused', refusedContinuations],
  ['arguments are checked', refusedArguments],
  ['odd keys are listed and read', oddKeys],
  ['odd keyspaces are listed and read', oddKeyspaces],
  ['followers see each item once', followsFromTheBeginning],
  ['followers begin at the end', followsFromTheEnd],
  ['a time line sums the list up', timeline],
  ['values stay when the module goes on', valuesStay],
  ['many calls at once', manyCalls],
  ['an abort ends a call with its reason', aborts],
  ['a closed store says so', closed],
  ['refusals of the store have codes', refusals],
].map(([name, run]) => ({ name, run }));

async function whatDoesNotExist({ store }) {
  await rejects('a page of no keyspace', 'KeyspaceNotFound', () => store.readPage('nothing', 'key'));
  await rejects('keys of no keyspace', 'KeyspaceNotFound', () => store.keys('nothing'));
  await rejects('stat of no keyspace', 'KeyspaceNotFound', () => store.stat('nothing'));
  for (const order of BOTH_ORDERS) {
    const { items, continuation } = await store.readPage(EMPTY_KEYSPACE, 'nothing', { order });
    equal('the page of an unknown key', { items, continuation }, { items: [], continuation: null });
  }
  equal('an unknown key', await store.stat(EMPTY_KEYSPACE, 'nothing'), null);
  equal('its time line', await store.timeline(EMPTY_KEYSPACE, 'nothing'), null);
  equal('the keys', (await store.keys(EMPTY_KEYSPACE)).keys, []);
}

async function pagesInBothOrders({ store }) {
  for (const maxItems of [1, 7, 64, 1_000]) await wholeList(store, 'small appends', maxItems);
  await wholeList(store, 'one', 1);
  await wholeList(store, 'compacted', 11);
}

async function seeks({ store }) {
  const items = itemsOf(LISTS.compacted);
  const starts = [0n, 1n, 33n, 59n, 60n, 89n, 90n, MOST_U64].map((startOffset) => ({ startOffset }));
  for (let number = 0; number < items.length; number += 11) {
    const { timestamp, nonce } = items[number];
    for (const step of [-1n, 0n, 1n]) {
      starts.push({ startTimestamp: timestamp + step });
      if (nonce + step >= 0n) starts.push({ startNonce: nonce + step });
    }
    starts.push({ startOffset: 40n, startTimestamp: timestamp, startNonce: 80n });
  }
  for (const start of starts) {
    for (const order of BOTH_ORDERS) await listFrom(store, 'compacted', order, 50, start);
  }
}

async function startsAtTheEdges({ store }) {
  const edges = [
    { startTimestamp: -(2n ** 63n) },
    { startTimestamp: 2n ** 63n - 1n },
    { startNonce: 2n ** 128n - 1n },
    { startNonce: 0n },
    { startOffset: MOST_U64, startTimestamp: 0n, startNonce: 0n },
  ];
  for (const start of edges) {
    for (const order of BOTH_ORDERS) await listFrom(store, 'small appends', order, 50, start);
  }
  // The same moment and offset, as what else they may be given as.
  const date = new Date(1_357_034_400_000 + 50_000);
  for (const startTimestamp of [date, date.getTime(), BigInt(date.getTime())]) {
    const { items } = await store.readPage(KEYSPACE, 'small appends', { startTimestamp, maxItems: 1 });
    equal(`the item at ${typeof startTimestamp}`, items[0].offset, 50n);
  }
  const { items } = await store.readPage(KEYSPACE, 'small appends', { startOffset: 50, maxItems: 1 });
  equal('the item at a number', items[0].offset, 50n);
}

async function timestamps({ store }) {
  await wholeList(store, 'timestamps', 2);
  const { items } = await store.readPage(KEYSPACE, 'timestamps');
  equal('a date', items[0].date.getTime(), 0);
  equal('the last date', items[5].date.getTime(), 8_640_000_000_000_000);
  holds('a date beyond the last one is invalid', Number.isNaN(items[6].date.getTime()));
}

async function anyBytes({ store }) {
  await wholeList(store, 'bytes', 2);
  const { items } = await store.readPage(KEYSPACE, 'bytes');
  equal('text', items[4].text(), 'Zürich ✈ 東京 😀');
  equal('JSON', items[5].json(), { a: [1, 2, { b: null }] });
  equal('no text', items[0].text(), '');
}

async function largeValues({ store }) {
  await wholeList(store, 'large', 100);
  await wholeList(store, 'large', 1);
}

async function codecs({ store }) {
  await wholeList(store, 'bulk lz4', 1_000);
  await wholeList(store, 'bulk plain', 1_000);
  await wholeList(store, 'bulk', 1_000);
}

async function trimmed({ store }) {
  await wholeList(store, 'trimmed', 9);
  const { items } = await store.readPage(KEYSPACE, 'trimmed', { startOffset: 2n, maxItems: 1 });
  equal('the first live item', items[0].offset, 13n);
  const before = await store.readPage(KEYSPACE, 'trimmed', { startOffset: 2n, order: 'backwards' });
  equal('nothing lies before it', [before.items, before.continuation], [[], null]);
  const info = await store.stat(KEYSPACE, 'trimmed');
  equal('first offset and items', [info.firstOffset, info.itemCount], [13n, 27n]);
}

async function stats({ store }) {
  const { keyspace, created, formatVersion } = await store.stat(KEYSPACE);
  equal('name and version', [keyspace, formatVersion], [KEYSPACE, 1]);
  holds('the keyspace was created in the last day', Math.abs(Date.now() - created.getTime()) < 86_400_000);
  for (const key of ['small appends', 'compacted', 'one', 'bulk']) {
    const items = itemsOf(LISTS[key]);
    const times = items.map(({ timestamp }) => timestamp).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
    equal(key, await store.stat(KEYSPACE, key), {
      keyspace: KEYSPACE,
      key,
      firstOffset: 0n,
      nextOffset: BigInt(items.length),
      nextNonce: items.at(-1).nonce + 1n,
      itemCount: BigInt(items.length),
      valueBytes: bytesOf(items),
      minTimestamp: times[0],
      maxTimestamp: times.at(-1),
    });
  }
}

async function iterates({ store }) {
  const items = itemsOf(LISTS.bulk);
  for (const order of BOTH_ORDERS) {
    const expected = order === 'forwards' ? items : [...items].reverse();
    equalItems(`all items ${order}`, await all(store.items(KEYSPACE, 'bulk', { order })), expected);
    const some = await all(store.items(KEYSPACE, 'bulk', { order, maxItems: 1_234, pageSize: 500 }));
    equalItems(`some items ${order}`, some, expected.slice(0, 1_234));
    const pages = await all(store.pages(KEYSPACE, 'bulk', { order, pageSize: 5_000 }));
    equal(`pages ${order}`, pages.map((page) => page.items.length), [5_000, 5_000, 2_000]);
    equalItems(`items of pages ${order}`, pages.flatMap((page) => page.items), expected);
  }
  equal('items of nothing', await all(store.items(EMPTY_KEYSPACE, 'nothing')), []);
  const pages = await all(store.pages(EMPTY_KEYSPACE, 'nothing'));
  equal('pages of nothing', pages.map((page) => page.items.length), [0]);
  const [first] = await all(store.pages(KEYSPACE, 'bulk', { maxItems: 7 }));
  const rest = await all(store.items(KEYSPACE, 'bulk', { continuation: first.continuation, maxItems: 5 }));
  equalItems('items from a continuation', rest, items.slice(7, 12));
}

async function leavesEarly({ store }) {
  let seen = 0;
  for await (const _ of store.items(KEYSPACE, 'bulk', { pageSize: 10 })) {
    seen += 1;
    if (seen === 35) break;
  }
  equal('items seen', seen, 35);
  // The page that was fetched ahead is given up, and the store goes on.
  equal('the store goes on', (await store.readPage(KEYSPACE, 'one')).items.length, 1);
}

async function continuationsInAGrowingList({ store, append, runtime }) {
  const key = `growing in ${runtime}`;
  await append(key, 0, 10);
  const first = await store.readPage(KEYSPACE, key, { maxItems: 4 });
  const newest = await store.readPage(KEYSPACE, key, { maxItems: 4, order: 'backwards' });
  await append(key, 10, 5);
  const items = liveItems(0, 15);
  const seen = [...first.items];
  let { continuation } = first;
  holds('a continuation is at most 256 characters', continuation.length <= 256);
  while (continuation) {
    const page = await store.readPage(KEYSPACE, key, { continuation, maxItems: 4 });
    seen.push(...page.items);
    ({ continuation } = page);
  }
  holds('the snapshot, or more', seen.length >= 10 && seen.length <= 15);
  equalItems('forwards', seen, items.slice(0, seen.length));
  const older = await store.readPage(KEYSPACE, key, { continuation: newest.continuation, order: 'backwards' });
  equalItems('backwards', [...newest.items, ...older.items], items.slice(0, 10).reverse());
  const anew = await (await store.readPage(KEYSPACE, key)).items;
  equalItems('a page that begins anew', anew, items);
}

async function refusedContinuations({ store }) {
  const { continuation } = await store.readPage(KEYSPACE, 'small appends', { maxItems: 3 });
  const refused = (what, key, options) =>
    rejects(what, 'InvalidContinuation', () => store.readPage(KEYSPACE, key, options));
  await refused('of another list', 'compacted', { continuation });
  await refused('of another order', 'small appends', { continuation, order: 'backwards' });
  await refused('no continuation', 'small appends', { continuation: 'nonsense' });
  await refused('an empty one', 'small appends', { continuation: '' });
  await refused('an endless one', 'small appends', { continuation: 'A'.repeat(1_000_000) });
  for (let index = 0; index < continuation.length; index += 5) {
    const other = continuation[index] === 'A' ? 'B' : 'A';
    const damaged = continuation.slice(0, index) + other + continuation.slice(index + 1);
    await refused(`damaged at ${index}`, 'small appends', { continuation: damaged });
  }
}

async function refusedArguments({ store, open }) {
  const page = (options) => () => store.readPage(KEYSPACE, 'one', options);
  const refused = (what, run) => rejects(what, 'InvalidArgument', async () => run());
  await refused('no items', page({ maxItems: 0 }));
  await refused('less than no items', page({ maxItems: -1 }));
  await refused('half an item', page({ maxItems: 1.5 }));
  await refused('a negative offset', page({ startOffset: -1n }));
  await refused('an offset of 65 bits', page({ startOffset: 2n ** 64n }));
  await refused('half an offset', page({ startOffset: 0.5 }));
  await refused('a nonce of 129 bits', page({ startNonce: 2n ** 128n }));
  await refused('a timestamp of 65 bits', page({ startTimestamp: 2n ** 63n }));
  await refused('no date', page({ startTimestamp: new Date(NaN) }));
  await refused('an order that is none', page({ order: 'sideways' }));
  await refused('a keyspace that is a number', () => store.readPage(1, 'one'));
  await refused('an empty key', () => store.readPage(KEYSPACE, ''));
  await refused('an empty keyspace', () => store.stat(''));
  await refused('a key that is too long', () => store.readPage(KEYSPACE, 'x'.repeat(256)));
  await rejects('no bucket', 'Configuration', () => open({ bucket: '' }));
  await rejects('an endpoint that is none', 'Configuration', () => open({ endpoint: 'nowhere' }));
  await rejects('keys and presign', 'Configuration', () => open({ presign: ({ url }) => url }));
}

async function oddKeys({ store }) {
  for (const [number, name] of ODD_NAMES.entries()) {
    const { items } = await store.readPage(NAMES_KEYSPACE, name, { order: 'backwards', maxItems: 1 });
    equal(`the item of ${JSON.stringify(name)}`, items.map((item) => item.text()), [`of ${number}`]);
  }
  const expected = inOrder(ODD_NAMES);
  for (const maxNames of [1, 7, undefined]) {
    equal(`the keys by ${maxNames}`, await all(store.keys(NAMES_KEYSPACE, { maxNames })), expected);
  }
  for (const prefix of ['a', '.', '..', 'é', 'a ', '%', '/', 'x', 'PL', 'nothing']) {
    const found = await all(store.keys(NAMES_KEYSPACE, { prefix }));
    const wanted = expected.filter((name) => name.startsWith(prefix));
    equal(`the keys that begin with ${JSON.stringify(prefix)}`, new Set(found), new Set(wanted));
  }
  const page = await store.keys(NAMES_KEYSPACE, { maxNames: 5 });
  holds('a page of names says how to go on', page.keys.length <= 5 && typeof page.continuation === 'string');
}

async function oddKeyspaces({ store }) {
  const odd = ODD_NAMES.filter((_, number) => number % 4 === 0);
  const expected = inOrder([...odd, KEYSPACE, NAMES_KEYSPACE, EMPTY_KEYSPACE]);
  for (const maxNames of [5, undefined]) {
    const found = await all(store.keyspaces({ maxNames }));
    equal(`the keyspaces by ${maxNames}`, found.map(({ keyspace }) => keyspace), expected);
  }
  for (const name of odd) {
    equal('the keyspace', (await store.stat(name)).keyspace, name);
    equal('its keys', (await store.keys(name)).keys, []);
  }
  equal('none that is unreadable', (await store.keyspaces()).unreadable, []);
}

async function followsFromTheBeginning({ store, append, runtime }) {
  const key = `followed in ${runtime}`;
  await append(key, 0, 20);
  const follower = store.follow(KEYSPACE, key, { start: 0n, ...POLLING });
  const next = async (count) => {
    const items = [];
    while (items.length < count) items.push((await follower.next()).value);
    return items;
  };
  equalItems('the old items', await next(20), liveItems(0, 20));
  for (const first of [20, 23, 26]) {
    await append(key, first, 3);
    equalItems('new items', await next(3), liveItems(first, 3));
  }
  await follower.return();
}

async function followsFromTheEnd({ store, append, runtime }) {
  const key = `followed at its end in ${runtime}`;
  await append(key, 0, 4);
  const controller = new AbortController();
  const follower = store.follow(KEYSPACE, key, { ...POLLING, signal: controller.signal });
  const pending = follower.next();
  // It is at the end once a poll has passed; before, these would be old items.
  await new Promise((resolve) => setTimeout(resolve, 500));
  await append(key, 4, 2);
  equalItems('the first new item', [(await pending).value], liveItems(4, 1));
  equalItems('the second one', [(await follower.next()).value], liveItems(5, 1));
  const waiting = follower.next();
  const reason = new Error('enough');
  controller.abort(reason);
  holds('an abort ends it with its reason', (await rejects('following', undefined, () => waiting)) === reason);
}

async function timeline({ store }) {
  for (const key of ['small appends', 'compacted', 'one', 'bulk', 'trimmed']) {
    const begin = LISTS[key].trimmedBefore ?? 0;
    const items = itemsOf(LISTS[key]).slice(begin);
    const line = await store.timeline(KEYSPACE, key);
    equal(`${key}: bounds`, [line.firstOffset, line.nextOffset], [BigInt(begin), items.at(-1).offset + 1n]);
    equal(`${key}: items`, line.itemCount, BigInt(items.length));
    // What a trim took from an object of which something is left counts.
    const [least, most] = [bytesOf(items), bytesOf(itemsOf(LISTS[key]))];
    holds(`${key}: ${line.valueBytes} bytes are ${least} to ${most}`, line.valueBytes >= least && line.valueBytes <= most);
    // An object of which a trim left something is shown whole.
    const whole = itemsOf(LISTS[key]);
    let next = begin === 0 ? 0n : line.spans[0].firstOffset;
    holds(`${key}: the first span holds the first item`, next <= BigInt(begin));
    for (const span of line.spans) {
      equal(`${key}: spans have no gaps`, span.firstOffset, next);
      next += span.itemCount;
      const inside = whole.filter(({ offset }) => offset >= span.firstOffset && offset < next);
      equal(`${key}: bytes of a span`, span.valueBytes, bytesOf(inside));
      const outside = inside.some(({ timestamp }) => timestamp < span.minTimestamp || timestamp > span.maxTimestamp);
      holds(`${key}: times of a span hold its items`, !outside);
    }
    equal(`${key}: spans hold all items`, next, line.nextOffset);
  }
  const items = itemsOf(LISTS.compacted);
  const [from, to] = [items[30].timestamp, items[70].timestamp];
  const part = await store.timeline(KEYSPACE, 'compacted', { from, to });
  const shown = ({ offset }) =>
    part.spans.some((span) => offset >= span.firstOffset && offset < span.firstOffset + span.itemCount);
  const wanted = items.filter(({ timestamp }) => timestamp >= from && timestamp <= to);
  holds('a part of the time holds all items of it', wanted.every(shown));
}

async function valuesStay({ store }) {
  const { items } = await store.readPage(KEYSPACE, 'bulk', { maxItems: 1_000 });
  const first = items.map((item) => item.value.slice());
  // Makes the module's memory grow, which detaches every view on it.
  await store.readPage(KEYSPACE, 'large', { maxItems: 2 });
  await store.readPage(KEYSPACE, 'bulk', { startOffset: 5_000n });
  holds('values have not changed', items.every(({ value }, index) => value.every((byte, at) => byte === first[index][at])));
  holds('a page has one buffer', new Set(items.map(({ value }) => value.buffer)).size === 1);
  const total = items.reduce((sum, { value }) => sum + value.length, 0);
  equal('which holds nothing else', items[0].value.buffer.byteLength, total);
}

async function manyCalls({ store }) {
  const items = itemsOf(LISTS.bulk);
  const starts = Array.from({ length: 40 }, (_, number) => number * 250);
  const pages = await Promise.all(
    starts.map((startOffset) => store.readPage(KEYSPACE, 'bulk', { startOffset, maxItems: 100 })),
  );
  for (const [number, page] of pages.entries()) {
    equalItems(`page ${number}`, page.items, items.slice(starts[number], starts[number] + 100));
  }
}

async function aborts({ store, open }) {
  const reason = new Error('not wanted any more');
  const before = await rejects('before', undefined, () =>
    store.readPage(KEYSPACE, 'bulk', { signal: AbortSignal.abort(reason) }),
  );
  holds('its reason is the error', before === reason);
  const controller = new AbortController();
  const fetchAndAbort = async (url, init) => {
    controller.abort(reason);
    return fetch(url, init);
  };
  const other = await open({ fetch: fetchAndAbort });
  const during = await rejects('during', undefined, () =>
    other.readPage(KEYSPACE, 'bulk', { signal: controller.signal }),
  );
  holds('its reason is the error', during === reason);
  equal('the next call works', (await store.readPage(KEYSPACE, 'one')).items.length, 1);
}

async function closed({ open }) {
  const store = await open();
  const pending = rejects('a call under way', 'Closed', () => store.readPage(KEYSPACE, 'bulk'));
  store.close();
  store.close();
  await pending;
  await rejects('a call afterwards', 'Closed', () => store.readPage(KEYSPACE, 'bulk'));
}

async function refusals({ open, options }) {
  const read = async (more) => (await open(more)).readPage(KEYSPACE, 'one');
  const secret = 'not-the-secret-of-this-store';
  const keys = { ...options.credentials, secretAccessKey: secret };
  const error = await rejects('a wrong secret', 'Credentials', () => read({ credentials: keys }));
  holds('no error shows a secret', !JSON.stringify([error.message, error.stack]).includes(secret));
  const unknown = { accessKeyId: 'AKUNKNOWN', secretAccessKey: 'x' };
  await rejects('an unknown key', 'Credentials', () => read({ credentials: unknown }));
  await rejects('another bucket', 'BucketNotFound', () => read({ bucket: 'no-such-bucket' }));
  await rejects('another prefix', 'KeyspaceNotFound', () => read({ prefix: 'elsewhere' }));
  const anonymous = await rejects('nobody', undefined, () => read({ credentials: undefined }));
  holds(`nobody is refused: ${anonymous.code}`, ['AccessDenied', 'Credentials'].includes(anonymous.code));
}

async function wholeList(store, key, maxItems) {
  for (const order of BOTH_ORDERS) await listFrom(store, key, order, maxItems, {});
}

/** Reads page after page from `start` to the end and compares each with the model. */
async function listFrom(store, key, order, maxItems, start) {
  const items = itemsOf(LISTS[key]);
  const begin = LISTS[key].trimmedBefore ?? 0;
  let at = model.start(items, order, start);
  let continuation;
  const where = `${key} ${order} by ${maxItems} from ${Object.entries(start)}`;
  do {
    const expected = model.page(items, order, at, maxItems, begin);
    const page = await store.readPage(KEYSPACE, key, { order, maxItems, ...start, continuation });
    equalItems(where, page.items, expected.items);
    equal(`${where}: more follow`, page.continuation !== null, expected.next !== null);
    at = expected.next;
    continuation = page.continuation ?? undefined;
  } while (continuation !== undefined);
}

async function all(iterable) {
  const found = [];
  for await (const each of iterable) found.push(each);
  return found;
}

function bytesOf(items) {
  return items.reduce((sum, { value }) => sum + BigInt(value.length), 0n);
}
