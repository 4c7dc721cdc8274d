/** Looking for a text in what is loaded, and scanning on from there. */

import type { RefObject } from 'preact';
import { useEffect, useState } from 'preact/hooks';

import type { ListController } from '../list/controller';
import { formatCount } from '../preferences/format';
import { announce } from '../ui/announce';
import { messageOf } from '../ui/failure';
import { Icon } from '../ui/icon';
import { MOST_MATCHES } from './finder';

interface Props {
  readonly list: ListController;
  readonly inputRef: RefObject<HTMLInputElement | null>;
  readonly onClose: () => void;
}

const LIMITS = [1_000, 10_000, 100_000, 1_000_000];
const TYPING_DELAY = 150;

export function FindBar({ list, inputRef, onClose }: Props) {
  const { finder } = list;
  const [typed, setTyped] = useState(finder.query.value);
  const [limit, setLimit] = useState(10_000);
  useEffect(() => {
    const timer = setTimeout(() => list.find(typed), TYPING_DELAY);
    return () => clearTimeout(timer);
  }, [typed]);

  const scan = finder.scan.value;
  const isRunning = scan?.state === 'running';
  const matches = finder.matches.value.length;
  const isOn = finder.query.value.trim() !== '';
  const summary = !isOn
    ? 'Looks in the values of what is loaded'
    : `${formatCount(matches)}${matches >= MOST_MATCHES ? '+' : ''} ${matches === 1 ? 'match' : 'matches'} · ${formatCount(finder.looked.value)} loaded`;
  useEffect(() => {
    if (scan && scan.state !== 'running') announce(`Scan ${scan.state}: ${scan.found} found in ${scan.looked} items.`);
  }, [scan?.state]);

  return (
    <div class="find" role="search" data-testid="find-bar" data-state={scan?.state ?? 'idle'}>
      <div class="find-line">
        <label class="search is-find">
          <Icon name="search" />
          <input
            ref={inputRef}
            class="input"
            type="text"
            data-testid="find-input"
            aria-label="Find in values"
            placeholder="Find in values"
            spellcheck={false}
            autocomplete="off"
            value={typed}
            maxLength={500}
            onInput={(event) => setTyped(event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key === 'Enter') list.step(event.shiftKey ? -1 : 1);
              if (event.key === 'Escape') onClose();
            }}
          />
        </label>
        <button
          type="button"
          class="button is-small is-icon"
          aria-label="Previous match"
          data-testid="find-previous"
          disabled={matches === 0}
          onClick={() => list.step(-1)}
        >
          <Icon name="previous" />
        </button>
        <button
          type="button"
          class="button is-small is-icon"
          aria-label="Next match"
          data-testid="find-next"
          disabled={matches === 0}
          onClick={() => list.step(1)}
        >
          <Icon name="next" />
        </button>
        <label class="check">
          <input
            type="checkbox"
            data-testid="find-only"
            disabled={!isOn}
            checked={list.only.value}
            onChange={(event) => (list.only.value = event.currentTarget.checked)}
          />
          <span>Only matches</span>
        </label>
        <span class="find-summary" data-testid="find-summary" data-matches={matches}>
          {summary}
        </span>
        <button
          type="button"
          class="button is-small is-icon find-close"
          aria-label="Stop finding"
          data-testid="find-close"
          onClick={onClose}
        >
          <Icon name="close" />
        </button>
      </div>
      {isOn && (
        <div class="find-line is-scan">
          <label class="scan-limit">
            Scan up to
            <select
              class="input"
              data-testid="scan-limit"
              value={limit}
              disabled={isRunning}
              onChange={(event) => setLimit(Number(event.currentTarget.value))}
            >
              {LIMITS.map((amount) => (
                <option key={amount} value={amount}>
                  {formatCount(amount)}
                </option>
              ))}
            </select>
            items
          </label>
          <button
            type="button"
            class="button is-small"
            data-testid="scan-backwards"
            disabled={isRunning}
            onClick={() => list.scan('backwards', limit)}
          >
            towards older
          </button>
          <button
            type="button"
            class="button is-small"
            data-testid="scan-forwards"
            disabled={isRunning}
            onClick={() => list.scan('forwards', limit)}
          >
            towards newer
          </button>
          {scan && (
            <span class="scan-progress" data-testid="scan-progress" data-looked={scan.looked} data-found={scan.found}>
              <progress max={scan.limit} value={scan.looked} aria-label="Scan" class={isRunning ? '' : 'is-still'} />
              {scan.state === 'failed'
                ? `Stopped: ${messageOf(scan.error)}`
                : `${formatCount(scan.looked)} looked at, ${formatCount(scan.found)} found`}
              {scan.state === 'done' && (scan.looked < scan.limit ? ', up to the end' : ', up to the bound')}
              {scan.state === 'cancelled' && ', cancelled'}
            </span>
          )}
          {isRunning && (
            <button type="button" class="button is-small" data-testid="scan-cancel" onClick={() => finder.cancel()}>
              Cancel
            </button>
          )}
        </div>
      )}
    </div>
  );
}
