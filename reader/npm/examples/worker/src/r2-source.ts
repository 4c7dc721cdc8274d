import type { Source } from 'klstore';

/** The objects of an R2 bucket, in the place of S3's HTTP. */
export function r2Source(bucket: R2Bucket): Source {
  return {
    async list({ prefix, startAfter, maxKeys, delimiter }) {
      const listed = await bucket.list({ prefix, startAfter, limit: maxKeys, delimiter });
      const objects = listed.objects.map(({ key, etag, size }) => ({ key, etag, size }));
      return { objects, prefixes: listed.delimitedPrefixes, truncated: listed.truncated };
    },
    async get({ key, range }) {
      const object = await bucket.get(key, range && { range: { offset: range.start, length: range.end - range.start } });
      return object && { body: object.body, etag: object.etag, size: object.size };
    },
  };
}
