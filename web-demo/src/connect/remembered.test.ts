import { expect, it } from 'vitest';

import { read } from './remembered';

it('takes from the storage what is a connection, and nothing else', () => {
  const good = {
    connection: { bucket: 'demo', endpoint: 'http://127.0.0.1:1/' },
    anonymous: true,
    secretAccessKey: 'x',
  };
  const found = read(
    JSON.stringify([
      good,
      null,
      5,
      { connection: { bucket: 5 } },
      { connection: { bucket: 'demo', endpoint: 'file:///' } },
    ]),
  );
  expect(found).toHaveLength(1);
  expect(JSON.stringify(found)).not.toContain('secret');
  expect(found[0]?.anonymous).toBe(true);
  for (const text of [null, '', '{', '{}', '"x"']) expect(read(text)).toEqual([]);
});
