/** What the store was asked for until now, in short; it opens the panel of all requests. */

import { signal } from '@preact/signals';

import { formatBytes, formatCount } from '../preferences/format';
import { Icon } from '../ui/icon';
import { formatDollars } from './cost';
import { totalCost, totals } from './log';

export const isPanelOpen = signal(false);

/** In the head of the page: what it took until now. */
export function RequestMeter() {
  const { lists, gets, bytes, failures } = totals.value;
  return (
    <button
      type="button"
      class={`meter${isPanelOpen.value ? ' is-on' : ''}`}
      aria-expanded={isPanelOpen.value}
      aria-controls="requests"
      data-testid="request-meter"
      data-requests={lists + gets}
      onClick={() => (isPanelOpen.value = !isPanelOpen.value)}
    >
      <Icon name="chart" />
      <span class="meter-number">{formatCount(lists + gets)}</span>
      <span class="meter-unit">requests</span>
      <span class="meter-more">{formatBytes(bytes)}</span>
      <span class="meter-more">{formatDollars(totalCost.value)}</span>
      {failures > 0 && <span class="meter-failures" title={`${failures} failed`} />}
    </button>
  );
}
