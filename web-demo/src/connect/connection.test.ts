import { describe, expect, it } from 'vitest';

import { checkConnection, corsRule, hostOf } from './connection';

describe('a connection', () => {
  it('is written in one way', () => {
    const checked = checkConnection({ endpoint: ' HTTP://LocalHost:9000 ', bucket: ' demo ', prefix: 'a/b' });
    expect(checked).toEqual({
      value: {
        endpoint: 'http://localhost:9000/',
        bucket: 'demo',
        region: 'us-east-1',
        prefix: 'a/b/',
        pathStyle: false,
      },
    });
  });

  it('of AWS needs a bucket alone', () => {
    const checked = checkConnection({ bucket: 'lists', region: 'eu-west-1' });
    expect('value' in checked && hostOf(checked.value)).toBe('s3.eu-west-1.amazonaws.com');
  });

  it.each([
    [{}, 'bucket'],
    [{ bucket: 'a b' }, 'bucket'],
    [{ bucket: 'demo', endpoint: 'ftp://x' }, 'endpoint'],
    [{ bucket: 'demo', endpoint: 'https://key:secret@x' }, 'endpoint'],
    [{ bucket: 'demo', endpoint: 'https://x/?X-Amz-Signature=1' }, 'endpoint'],
    [{ bucket: 'demo', prefix: 'a/../b' }, 'prefix'],
    [{ bucket: 'demo', prefix: 'a//b' }, 'prefix'],
    [{ bucket: 'demo', region: 'x/y' }, 'region'],
  ])('%j is refused', (draft, field) => {
    const checked = checkConnection(draft);
    expect('field' in checked && checked.field).toBe(field);
  });

  it("the rule that a bucket needs is S3's JSON", () => {
    const [rule] = JSON.parse(corsRule('https://example.org')) as Record<string, unknown>[];
    expect(rule).toMatchObject({
      AllowedOrigins: ['https://example.org'],
      AllowedMethods: ['GET'],
      ExposeHeaders: ['ETag', 'Content-Range'],
    });
  });
});
