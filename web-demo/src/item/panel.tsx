/** One item, opened beside the rows. */

import { useEffect, useMemo, useState } from 'preact/hooks';
import type { Item } from 'klstore';

import type { ListController } from '../list/controller';
import { flush } from '../permalink/navigation';
import type { ValueTab } from '../permalink/permalink';
import { formatBytes, formatTime, zoneName } from '../preferences/format';
import { zone } from '../preferences/preferences';
import { begin } from '../requests/log';
import { CopyButton } from '../ui/copy';
import { Failure } from '../ui/failure';
import { Icon } from '../ui/icon';
import { hexDump, isBinary, parse, textOf } from './content';
import { JsonTree } from './tree';

import '../styles/item.css';

interface Props {
  readonly list: ListController;
  readonly offset: bigint;
}

const TABS: readonly ValueTab[] = ['json', 'text', 'hex'];
const NAMES: Record<ValueTab, string> = { json: 'JSON', text: 'Text', hex: 'Hex' };

export function ItemPanel({ list, offset }: Props) {
  const { model } = list;
  const [read, setRead] = useState<{ readonly offset: bigint; readonly item: Item | undefined } | undefined>();
  const [error, setError] = useState<unknown>();
  const [tries, setTries] = useState(0);
  const version = model.version.value;
  const inMemory = model.chunks.item(offset) ?? list.finder.matches.value.find((match) => match.offset === offset);
  const item = inMemory ?? (read?.offset === offset ? read.item : undefined);

  // Rows that are seen come by themselves; only another item is read here.
  useEffect(() => {
    if (item || !model.isSettled.value) return undefined;
    const abort = new AbortController();
    setError(undefined);
    const timer = setTimeout(() => {
      model.read(offset, abort.signal, begin(`Open item ${offset}`)).then(
        (found) => !abort.signal.aborted && setRead({ offset, item: found }),
        (failure: unknown) => !abort.signal.aborted && setError(failure),
      );
    }, 150);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [offset, item === undefined, model.isSettled.value, tries]);
  void version;

  const isGone = read?.offset === offset && read.item === undefined && !item;
  return (
    <aside
      class="item"
      aria-label={`Item ${offset}`}
      data-testid="item-panel"
      data-offset={String(offset)}
      data-state={item ? 'ready' : error ? 'error' : isGone ? 'empty' : 'loading'}
    >
      <header class="item-head">
        <h2>
          <span class="overline">Item</span>
          {String(offset)}
        </h2>
        <div class="item-tools">
          <button
            type="button"
            class="button is-icon is-small"
            aria-label="Item before it"
            data-testid="item-previous"
            disabled={offset === 0n}
            onClick={() => step(list, offset, -1n)}
          >
            <Icon name="previous" />
          </button>
          <button
            type="button"
            class="button is-icon is-small"
            aria-label="Item after it"
            data-testid="item-next"
            onClick={() => step(list, offset, 1n)}
          >
            <Icon name="next" />
          </button>
          <button
            type="button"
            class="button is-icon is-small"
            aria-label="Close the item"
            data-testid="item-close"
            onClick={() => (list.close(), list.focus())}
          >
            <Icon name="close" />
          </button>
        </div>
      </header>
      {item && <ItemContent key={String(offset)} list={list} item={item} />}
      {!item && error !== undefined && <Failure error={error} retry={() => setTries(tries + 1)} />}
      {isGone && (
        <div class="empty">
          <h2>No such item</h2>
          <p>It has been trimmed, or the list does not reach so far.</p>
        </div>
      )}
    </aside>
  );
}

function step(list: ListController, offset: bigint, by: bigint): void {
  const { first, next } = list.model.known.value;
  const target = offset + by;
  if (target >= first && target < next) list.show(target);
}

function ItemContent({ list, item }: { readonly list: ListController; readonly item: Item }) {
  const parsed = useMemo(() => parse(item.value), [item]);
  const isJson = 'value' in parsed;
  const usual: ValueTab = isJson && typeof parsed.value === 'object' ? 'json' : isBinary(item.value) ? 'hex' : 'text';
  const tab = list.tab.value ?? usual;
  const select = (name: ValueTab) => (list.tab.value = name);
  const onKey = (event: KeyboardEvent) => {
    const by = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0;
    if (by === 0) return;
    const next = TABS[(TABS.indexOf(tab) + by + TABS.length) % TABS.length]!;
    select(next);
    (event.currentTarget as HTMLElement).querySelector<HTMLElement>(`[data-testid=tab-${next}]`)?.focus();
  };
  return (
    <>
      <dl class="facts">
        <dt>Time</dt>
        <dd data-testid="item-time">
          {formatTime(item.timestamp, zone.value)} <span class="is-dim">{zoneName(zone.value)}</span>
        </dd>
        <dt>Nonce</dt>
        <dd data-testid="item-nonce">{item.nonce === null ? <span class="is-dim">none</span> : String(item.nonce)}</dd>
        <dt>Size</dt>
        <dd>{formatBytes(item.value.length)}</dd>
      </dl>
      <div class="item-bar">
        <div class="segments" role="tablist" aria-label="Value as" onKeyDown={onKey}>
          {TABS.map((name) => (
            <button
              key={name}
              type="button"
              role="tab"
              id={`tab-${name}`}
              aria-selected={tab === name}
              aria-controls="item-value"
              tabIndex={tab === name ? 0 : -1}
              class={`segment${tab === name ? ' is-on' : ''}`}
              data-testid={`tab-${name}`}
              onClick={() => select(name)}
            >
              {NAMES[name]}
            </button>
          ))}
        </div>
        <span class="toolbar-gap" />
        <CopyButton label="Copy" title="Copy the value" testid="copy-value" text={() => copied(item, tab, parsed)} />
        <CopyButton
          label="Link"
          title="Copy a link to this item"
          icon="link"
          testid="copy-item-link"
          text={() => (flush(), location.href)}
        />
      </div>
      <div
        class="item-value"
        id="item-value"
        role="tabpanel"
        aria-labelledby={`tab-${tab}`}
        tabIndex={0}
        data-testid="item-value"
        data-tab={tab}
      >
        {tab === 'json' &&
          (isJson ? <JsonTree list={list} value={parsed.value} /> : <p class="is-dim item-note">{parsed.problem}</p>)}
        {tab === 'text' && <TextValue value={item.value} />}
        {tab === 'hex' && <HexValue value={item.value} />}
      </div>
    </>
  );
}

/** What is shown at first of a large value, and what each further step adds. */
const TEXT_STEP = 128 * 2 ** 10;
const HEX_STEP = 16 * 2 ** 10;

function TextValue({ value }: { readonly value: Uint8Array }) {
  const [shown, setShown] = useState(TEXT_STEP);
  const part = value.subarray(0, shown);
  const text = textOf(part) ?? new TextDecoder().decode(part);
  return (
    <>
      <pre class="value-text" data-testid="value-text">
        {text === '' ? <span class="is-dim">An empty value</span> : text}
      </pre>
      <More shown={shown} all={value.length} onMore={() => setShown(shown + TEXT_STEP * 4)} />
    </>
  );
}

function HexValue({ value }: { readonly value: Uint8Array }) {
  const [shown, setShown] = useState(HEX_STEP);
  return (
    <>
      <pre class="value-hex" data-testid="value-hex">
        {value.length === 0 ? <span class="is-dim">An empty value</span> : hexDump(value, 0, shown)}
      </pre>
      <More shown={shown} all={value.length} onMore={() => setShown(shown + HEX_STEP * 4)} />
    </>
  );
}

function More({ shown, all, onMore }: { readonly shown: number; readonly all: number; readonly onMore: () => void }) {
  if (shown >= all) return null;
  return (
    <p class="item-note">
      The first {formatBytes(shown)} of {formatBytes(all)}.{' '}
      <button type="button" class="button is-small" onClick={onMore}>
        Show more
      </button>
    </p>
  );
}

const MOST_COPIED = 8 * 2 ** 20;

function copied(item: Item, tab: ValueTab, parsed: ReturnType<typeof parse>): string {
  const bytes = item.value.subarray(0, MOST_COPIED);
  if (tab === 'hex') return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  const text = textOf(bytes) ?? new TextDecoder().decode(bytes);
  if (tab !== 'json' || !('value' in parsed)) return text;
  // As it was written: what is parsed may have lost the digits of large numbers.
  try {
    return /\d{16,}/.test(text) ? text : JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
