// The lists that the conformance cases read: written by the native `klstore append`, and known here item by item.
// Runs in every runtime, so nothing but the language is used.

export const KEYSPACE = 'conformance';
/** Of the keys and keyspaces that servers, XML, URLs and file systems like to spoil. */
export const NAMES_KEYSPACE = 'names';
export const EMPTY_KEYSPACE = 'empty';

/** Timestamps jump back now and then: lists need not be sorted by time. */
function numbered(number, more) {
  const jitter = number % 5 === 3 ? -7_000 : 0;
  const timestamp = 1_357_034_400_000 + number * 1_000 + jitter;
  return { nonce: BigInt(number) * 2n, timestamp: BigInt(timestamp), value: utf8(`value ${number}`), ...more };
}

function range(from, to, make = numbered) {
  return Array.from({ length: to - from }, (_, number) => make(from + number));
}

function batchesOf(items, size) {
  const batches = [];
  for (let start = 0; start < items.length; start += size) batches.push(items.slice(start, start + size));
  return batches;
}

/**
 * What was appended to each list, batch by batch: each batch is a run of `klstore append`, and so a commit at least.
 * `compactedAfter` is the number of batches after which the list was compacted, `trimmedBefore` the first item that is left.
 */
export const LISTS = {
  'small appends': { batches: batchesOf(range(0, 120), 9) },
  compacted: { batches: [...batchesOf(range(0, 60), 7), ...batchesOf(range(60, 90), 6)], compactedAfter: 9 },
  one: { batches: [range(0, 1)] },
  trimmed: { batches: batchesOf(range(0, 40), 10), trimmedBefore: 13 },
  nonces: {
    batches: [
      [5n, null, 6n].map((nonce) => numbered(0, { nonce })),
      [7n, 1n << 64n, null, 1n << 100n].map((nonce) => numbered(1, { nonce })),
      [(1n << 100n) + 1n, null, (1n << 128n) - 2n, null].map((nonce) => numbered(2, { nonce })),
    ],
  },
  timestamps: {
    batches: [
      [0n, -1n, 1n, -(2n ** 63n), 2n ** 63n - 1n, 8_640_000_000_000_000n, 8_640_000_000_000_001n].map((timestamp, number) =>
        numbered(number, { timestamp }),
      ),
    ],
  },
  bytes: {
    batches: [
      [
        new Uint8Array(0),
        Uint8Array.from({ length: 256 }, (_, byte) => byte),
        Uint8Array.of(0xff, 0xfe, 0),
        new Uint8Array(0),
        utf8('Zürich ✈ 東京 😀'),
        utf8('{"a":[1,2,{"b":null}]}'),
      ].map((value, number) => numbered(number, { value })),
    ],
  },
  bulk: { batches: [range(0, 12_000, wordy)] },
  'bulk lz4': { batches: [range(0, 3_000, wordy)], codec: 'lz4' },
  'bulk plain': { batches: [range(0, 3_000, wordy)], codec: 'none' },
  large: { batches: [[0, 1, 2, 3, 4].map((seed) => numbered(seed, { value: noise(seed, seed === 1 ? 10 : 3 << 20) }))] },
};

function wordy(number) {
  return numbered(number, { value: utf8(`item ${number} ${'with text that compresses '.repeat(number % 9)}`) });
}

/** The whole list as the package must show it. */
export function itemsOf(list) {
  return list.batches.flat().map((item, number) => ({ ...item, offset: BigInt(number) }));
}

/** What a case appends while it runs: `count` items from item `first` on. */
export function liveItems(first, count) {
  return range(first, first + count).map((item, number) => ({ ...item, offset: BigInt(first + number) }));
}

export const ODD_NAMES = [
  ...['plain', 'Plain', 'PLAIN', 'Zürich ✈ 東京', '😀', 'e\u0301', 'é', 'a/b/c', '/a', 'a/', '//', '.', '..', '...', '.a'],
  ...['../..', ' ', ' a', 'a ', 'a b', 'a+b', 'a%20b', '100%', '%2F', '~', '~2E', 'a~b', 'a&b=c', 'a?b#c', '<a>', '"\'`'],
  ...['\\', 'a\\b', 'a:b*c|d', '\n', '\t', '\r', '\u0001', '\u007f', '\uffff', 'keyspace.json', 'lists', 'log', '-', '_', '0'],
  ...['x'.repeat(255), 'é'.repeat(42), `${'/'.repeat(84)}abc`],
];

/** As a LIST orders them: by the bytes of their escaped form, with the slash that ends it. */
export function inOrder(names) {
  const escaped = (name) => `${escape(name)}/`;
  return [...names].sort((a, b) => (escaped(a) < escaped(b) ? -1 : 1));
}

function escape(name) {
  if (name === '.') return '~2E';
  if (name === '..') return '~2E~2E';
  const byte = (code) => {
    const character = String.fromCharCode(code);
    return /[A-Za-z0-9\-_.]/.test(character) ? character : `~${code.toString(16).toUpperCase().padStart(2, '0')}`;
  };
  return Array.from(utf8(name), byte).join('');
}

function utf8(text) {
  return new TextEncoder().encode(text);
}

/** Bytes that do not compress. */
export function noise(seed, bytes) {
  let state = (seed + 1) * 0x9e3779b9;
  return Uint8Array.from({ length: bytes }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state & 0xff;
  });
}
