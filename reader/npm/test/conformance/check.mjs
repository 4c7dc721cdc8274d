// What a case says of what it found. No framework: these run in every runtime.

export class CheckFailed extends Error {}

export function equal(what, found, expected) {
  const [shown, wanted] = [show(found), show(expected)];
  if (shown !== wanted) throw new CheckFailed(`${what}: ${shorten(shown)}, expected ${shorten(wanted)}`);
}

export function holds(what, condition) {
  if (!condition) throw new CheckFailed(`it does not hold that ${what}`);
}

/** Ends with the error of this `code`; with any error where it is left out. */
export async function rejects(what, code, run) {
  let result;
  try {
    result = await run();
  } catch (error) {
    if (code !== undefined) equal(`${what}: the code of ${error}`, error?.code, code);
    return error;
  }
  throw new CheckFailed(`${what}: it succeeded with ${shorten(show(result))}, expected ${code ?? 'an error'}`);
}

/** Items of a page and those expected, field by field. */
export function equalItems(what, found, expected) {
  equal(`${what}: the offsets`, found.map(({ offset }) => offset), expected.map(({ offset }) => offset));
  for (const [number, item] of found.entries()) {
    const wanted = expected[number];
    const where = `${what}: item ${item.offset}`;
    if (item.timestamp !== wanted.timestamp) equal(`${where}: its timestamp`, item.timestamp, wanted.timestamp);
    if (item.nonce !== wanted.nonce) equal(`${where}: its nonce`, item.nonce, wanted.nonce);
    if (!sameBytes(item.value, wanted.value)) equal(`${where}: its value`, item.value, wanted.value);
  }
}

function sameBytes(a, b) {
  return a instanceof Uint8Array && a.length === b.length && a.every((byte, index) => byte === b[index]);
}

/** Text in which two values differ where they do: BigInts keep their `n`, bytes their kind. */
function show(value) {
  return JSON.stringify(value, (_, part) => {
    if (typeof part === 'bigint') return `${part}n`;
    if (part instanceof Uint8Array) return `bytes(${part.length}) ${part.subarray(0, 64)}`;
    if (part instanceof Set) return [...part].sort();
    if (part === undefined) return 'undefined';
    return part;
  });
}

function shorten(text) {
  return text.length > 400 ? `${text.slice(0, 400)}… (${text.length} characters)` : text;
}
