/** JSON pointers (RFC 6901): how a field of a value is named where it is a column. */

const LONGEST = 512;
const DEEPEST = 16;

export function isPointer(text: string): boolean {
  return text.length <= LONGEST && /^(?:\/(?:[^~/]|~0|~1)*)+$/.test(text) && text.split('/').length - 1 <= DEEPEST;
}

export function pointerOf(path: readonly (string | number)[]): string {
  return path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

export function pathOf(pointer: string): string[] {
  return pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** What a pointer points at; `undefined` where there is no such field. Own properties only. */
export function lookUp(value: unknown, path: readonly string[]): unknown {
  let found = value;
  for (const part of path) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, part)) return undefined;
    found = (found as Record<string, unknown>)[part];
  }
  return found;
}

/** A short name for a column's head. */
export function titleOf(pointer: string): string {
  return pathOf(pointer).join('.');
}
