import { describe, expect, it } from 'vitest';

import { formatLink, type Link, MOST_COLUMNS, parseLink, START } from './permalink';

const connection = {
  endpoint: 'http://127.0.0.1:9000/',
  bucket: 'demo',
  region: 'eu-central-1',
  prefix: 'a/b/',
  pathStyle: true,
};

describe('links', () => {
  it('bring every state back', () => {
    const links: Link[] = [
      { connection: null, place: { view: 'connect' } },
      { connection, place: { view: 'keyspaces' } },
      { connection: null, place: { view: 'keys', keyspace: 'a/b?c#d é', search: 'N1&2' } },
      { connection, place: { view: 'list', keyspace: '..', key: '%2F/..', state: START } },
      {
        connection: null,
        place: {
          view: 'list',
          keyspace: 'flights',
          key: 'N725MQ',
          state: {
            order: 'forwards',
            at: 2n ** 64n - 1n,
            item: 0n,
            tab: 'hex',
            follow: true,
            columns: ['/carrier', '/a~1b/0/~0'],
            find: 'JFK & <b>',
            only: true,
            window: [-5, 1_357_034_400_000],
          },
        },
      },
    ];
    for (const link of links) expect(parseLink(formatLink(link))).toEqual(link);
  });

  it('say nothing of what they say wrongly', () => {
    const { place, connection: none } = parseLink(
      '#/k/flights/N1?at=-5&item=99999999999999999999999&tab=exe&order=sideways&window=5~4&column=carrier&column=/a~2&bucket=../x',
    );
    expect(none).toBeNull();
    expect(place).toEqual({ view: 'list', keyspace: 'flights', key: 'N1', state: START });
  });

  it('bound what they take', () => {
    const columns = Array.from({ length: 100 }, (_, at) => `column=/c${at}`).join('&');
    const { place } = parseLink(`#/k/f/k?${columns}&find=${'x'.repeat(5_000)}`);
    expect(place.view === 'list' && place.state.columns.length).toBe(MOST_COLUMNS);
    expect(place.view === 'list' && place.state.find.length).toBe(500);
    expect(parseLink(`#/k/${'%E0%A4%A'}`).place).toEqual({ view: 'keyspaces' });
  });

  it('hold no credentials, whatever an endpoint has', () => {
    expect(parseLink('#/k?bucket=demo&endpoint=https://user:pass@evil.example').connection).toBeNull();
    expect(parseLink('#/k?bucket=demo&endpoint=javascript:alert(1)').connection).toBeNull();
  });
});
