import { describe, expect, it } from 'vitest';

import { fieldText, hexDump, isBinary, parse, previewOf, WrittenNumber } from './content';
import { itemOf } from './testing';

describe('a value', () => {
  it('in a row is one line, without what moves or hides text', () => {
    expect(previewOf(itemOf(0, 'a\n\tb\u202eevil\u0000'.slice(0, 8)))).toBe('a b evi');
    expect(previewOf(itemOf(0, '<img src=x onerror=alert(1)>'))).toBe('<img src=x onerror=alert(1)>');
    expect(previewOf(itemOf(0, 'x'.repeat(5_000))).length).toBeLessThan(400);
    expect(previewOf(itemOf(0, Uint8Array.of(0, 255, 16)))).toBe('00 ff 10');
  });

  it('is binary where it holds zeros or is hardly UTF-8', () => {
    expect(isBinary(new TextEncoder().encode('Grüße, 世界'))).toBe(false);
    expect(isBinary(Uint8Array.of(1, 2, 0))).toBe(true);
    expect(isBinary(Uint8Array.from({ length: 64 }, (_, at) => 128 + at))).toBe(true);
    // Cut in a character.
    expect(isBinary(new TextEncoder().encode('é').subarray(0, 1))).toBe(false);
  });

  it('is parsed as JSON, or says why not', () => {
    expect(parse(new TextEncoder().encode('{"a":[1]}'))).toEqual({ value: { a: [1] } });
    expect(parse(new TextEncoder().encode('{'))).toHaveProperty('problem');
    expect(parse(Uint8Array.of(255))).toHaveProperty('problem');
    expect(parse(new Uint8Array(3 * 2 ** 20))).toHaveProperty('problem');
  });

  it('does not take the prototype from a hostile field', () => {
    const parsed = parse(new TextEncoder().encode('{"__proto__":{"polluted":1}}'));
    expect('value' in parsed && Object.keys(parsed.value as object)).toEqual(['__proto__']);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  it('as a field is short text', () => {
    expect(
      [undefined, null, true, 1.5, 'x', [1, 2], { a: 1 }, new WrittenNumber('12345678901234567890')].map(fieldText),
    ).toEqual(['', 'null', 'true', '1.5', 'x', '[2]', '{1}', '12345678901234567890']);
  });

  it('as hex has its bytes and what of them is ASCII', () => {
    expect(hexDump(new TextEncoder().encode('hello, klstore!!x'), 0, 99)).toBe(
      '00000000  68 65 6c 6c 6f 2c 20 6b  6c 73 74 6f 72 65 21 21  hello, klstore!!\n' +
        `00000010  78${' '.repeat(21)}  ${' '.repeat(23)}  x`,
    );
  });
});
