import { describe, expect, it } from 'vitest';

import { itemOf } from '../item/testing';
import { csvHead, csvLine, fileName, ndjsonLine } from './lines';

const plain = { columns: [], guard: true };

describe('NDJSON', () => {
  it('is what klstore read writes', () => {
    expect(ndjsonLine(itemOf(5, '{"a":"é"}\n', { nonce: 2n ** 100n }))).toBe(
      '{"offset":5,"timestamp":1357034400000,"nonce":"1267650600228229401496703205376","value":"{\\"a\\":\\"é\\"}\\n"}\n',
    );
    expect(ndjsonLine(itemOf(2n ** 64n - 1n, Uint8Array.of(0xff, 0)))).toBe(
      '{"offset":18446744073709551615,"timestamp":1357034400000,"value_base64":"/wA="}\n',
    );
  });
});

describe('CSV', () => {
  it('quotes what needs it', () => {
    expect(csvLine(itemOf(1, 'a,"b"\n'), plain)).toBe('1,1357034400000,2013-01-01T10:00:00.000Z,,"a,""b""\n",text\r\n');
    expect(csvLine(itemOf(1, Uint8Array.of(255)), plain)).toContain(',/w==,base64\r\n');
  });

  it('runs nothing in a spreadsheet', () => {
    for (const value of ['=1+1', '+cmd|x', '-2+3', '@SUM(A1)', '\t=1', ' =1']) {
      expect(csvLine(itemOf(1, value), plain)).toContain(`,'${value}`.replaceAll('\t', '\t'));
    }
    expect(csvLine(itemOf(1, '-12.5'), plain)).toContain(',-12.5,');
    expect(csvLine(itemOf(1, '=1'), { columns: [], guard: false })).toContain(',=1,');
  });

  it('has the promoted columns', () => {
    const csv = { columns: ['/carrier', '/delay', '/none'], guard: true };
    expect(csvHead(csv)).toBe('offset,timestamp,time,nonce,carrier,delay,none,value,encoding\r\n');
    const line = csvLine(itemOf(1, '{"carrier":"=UA","delay":-3}'), csv);
    expect(line).toContain(",'=UA,-3,,");
  });
});

it('a file name holds nothing that a file system minds', () => {
  expect(fileName('../etc', 'a/b:c', 0n, 9n, 'csv')).toBe('_etc-a_b_c-0-9.csv');
});
