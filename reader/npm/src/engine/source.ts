/** What a caller's own source answers, checked before it reaches the module. */

import type { SourceListing, SourceObject, SourceObjectInfo } from '../options.js';

export interface CheckedListing {
  readonly objects: readonly SourceObjectInfo[];
  readonly prefixes: readonly string[];
  readonly truncated: boolean;
}

export function checkedListing({ objects, prefixes = [], truncated }: SourceListing): CheckedListing {
  for (const { key, etag, size } of objects) {
    if (typeof key !== 'string' || typeof etag !== 'string' || typeof size !== 'number') {
      throw new TypeError("source.list() is to answer objects of { key, etag, size }: two strings and a number");
    }
  }
  if (!prefixes.every((prefix) => typeof prefix === 'string')) {
    throw new TypeError('source.list() is to answer prefixes that are strings');
  }
  return { objects, prefixes, truncated: truncated === true };
}

export interface CheckedObject {
  readonly body: Uint8Array | ReadableStream<Uint8Array>;
  readonly etag: string;
  readonly size: number | undefined;
}

export function checkedObject(object: SourceObject | null): CheckedObject | null {
  if (object === null || object === undefined) return null;
  const { body, etag, size } = object;
  const bytes = body instanceof ArrayBuffer ? new Uint8Array(body) : body;
  const readable = bytes instanceof Uint8Array || typeof bytes?.getReader === 'function';
  if (!readable || typeof etag !== 'string' || (size !== undefined && typeof size !== 'number')) {
    throw new TypeError('source.get() is to answer null or { body, etag, size }: bytes or a stream, a string, a number');
  }
  return { body: bytes, etag, size };
}
