/** The list's name and what is known of it. */

import { formatBytes, formatCount, formatTime, zoneName } from '../preferences/format';
import { zone } from '../preferences/preferences';
import type { ListController } from './controller';

export function ListHead({ list }: { readonly list: ListController }) {
  const info = list.model.info.value;
  const fact = (name: string, value: string, testid: string) => (
    <div class="fact">
      <dt>{name}</dt>
      <dd data-testid={testid}>{value}</dd>
    </div>
  );
  const time = (timestamp: bigint | null | undefined) =>
    timestamp === null || timestamp === undefined ? '–' : formatTime(timestamp, zone.value).slice(0, 19);
  return (
    <header class="list-head">
      <h1 title={list.model.key}>{list.model.key}</h1>
      <dl class="list-facts">
        {fact('Items', info ? formatCount(info.itemCount) : '–', 'item-count')}
        {fact('Size', info ? formatBytes(info.valueBytes) : '–', 'value-bytes')}
        {fact(
          'Offsets',
          info && info.itemCount > 0n ? `${info.firstOffset} – ${info.nextOffset - 1n}` : '–',
          'offsets',
        )}
        {fact(`First, ${zoneName(zone.value)}`, time(info?.minTimestamp), 'min-time')}
        {fact(`Last, ${zoneName(zone.value)}`, time(info?.maxTimestamp), 'max-time')}
      </dl>
    </header>
  );
}
