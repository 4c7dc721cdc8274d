// An R2 bucket with the objects of an S3 bucket.

import assert from 'node:assert/strict';

/** Puts every object of the S3 server's bucket, which anyone has to be allowed to read, into the R2 bucket. */
export async function copyObjects({ options: { bucket, endpoint } }, r2) {
  let count = 0;
  for (let after = ''; ; ) {
    const query = new URLSearchParams({ 'list-type': '2', 'start-after': after });
    const xml = await (await fetch(`${endpoint}/${bucket}?${query}`)).text();
    const keys = [...xml.matchAll(/<Key>([^<&]*)<\/Key>/g)].map(([, key]) => key);
    for (const key of keys) {
      const object = await fetch(`${endpoint}/${bucket}/${key}`);
      assert.ok(object.ok, `${key}: ${object.status}`);
      await r2.put(key, await object.arrayBuffer());
    }
    count += keys.length;
    if (!xml.includes('<IsTruncated>true')) break;
    after = keys.at(-1);
  }
  assert.ok(count >= 3, `${count} objects`);
}
