/** Jumps, order, live, find, columns, export. */

import type { RefObject } from 'preact';
import { useState } from 'preact/hooks';

import { readOffset } from '../permalink/permalink';
import { parseMoment } from '../preferences/format';
import { zone } from '../preferences/preferences';
import { messageOf } from '../ui/failure';
import { CopyButton } from '../ui/copy';
import { flush } from '../permalink/navigation';
import { Icon } from '../ui/icon';
import type { JumpKind, ListController } from './controller';

interface Props {
  readonly list: ListController;
  readonly jumpRef: RefObject<HTMLInputElement | null>;
  readonly isFinding: boolean;
  readonly onFind: () => void;
  readonly onExport: () => void;
}

export function Toolbar({ list, jumpRef, isFinding, onFind, onExport }: Props) {
  const order = list.order.value;
  return (
    <div class="toolbar" role="toolbar" aria-label="List">
      <Jump list={list} inputRef={jumpRef} />
      <div class="segments" role="group" aria-label="Order">
        <button
          type="button"
          class={`segment${order === 'backwards' ? ' is-on' : ''}`}
          aria-pressed={order === 'backwards'}
          data-testid="order-backwards"
          onClick={() => list.setOrder('backwards')}
        >
          Newest<span class="wide-only">&nbsp;first</span>
        </button>
        <button
          type="button"
          class={`segment${order === 'forwards' ? ' is-on' : ''}`}
          aria-pressed={order === 'forwards'}
          data-testid="order-forwards"
          onClick={() => list.setOrder('forwards')}
        >
          Oldest<span class="wide-only">&nbsp;first</span>
        </button>
      </div>
      <LiveButtons list={list} />
      <span class="toolbar-gap" />
      <button
        type="button"
        class={`button is-small${isFinding ? ' is-on' : ''}`}
        aria-pressed={isFinding}
        aria-label="Find"
        data-testid="find-toggle"
        onClick={onFind}
      >
        <Icon name="search" />
        <span class="wide-only">Find</span>
      </button>
      <button type="button" class="button is-small" aria-label="Export" data-testid="export-open" onClick={onExport}>
        <Icon name="download" />
        <span class="wide-only">Export</span>
      </button>
      <CopyButton
        label="Link"
        title="Copy a link to this view"
        isCompact
        icon="link"
        testid="copy-link"
        text={() => {
          flush();
          return location.href;
        }}
      />
    </div>
  );
}

function LiveButtons({ list }: { readonly list: ListController }) {
  const state = list.live.state.value;
  return (
    <div class="live" data-testid="live" data-state={state}>
      <button
        type="button"
        class={`button is-small${state === 'off' ? '' : ' is-on'}`}
        aria-pressed={state !== 'off'}
        data-testid="follow"
        onClick={() => list.toggleLive()}
      >
        <span class={`live-dot is-${state}`} aria-hidden="true" />
        {state === 'paused' ? 'Paused' : state === 'live' ? 'Live' : 'Follow'}
      </button>
      {state !== 'off' && (
        <button
          type="button"
          class="button is-small is-icon"
          data-testid="pause"
          aria-label={state === 'live' ? 'Pause' : 'Go on'}
          onClick={() => (state === 'live' ? list.live.pause() : list.live.start())}
        >
          <Icon name={state === 'live' ? 'pause' : 'play'} />
        </button>
      )}
    </div>
  );
}

const HINTS: Record<JumpKind, string> = { offset: '1000', time: '2013-06-01 14:00', nonce: '186852' };
const LABELS: Record<JumpKind, string> = { offset: 'Offset', time: 'Time', nonce: 'Nonce' };
const MOST_NONCE = 2n ** 128n;

function Jump({
  list,
  inputRef,
}: {
  readonly list: ListController;
  readonly inputRef: RefObject<HTMLInputElement | null>;
}) {
  const [kind, setKind] = useState<JumpKind>('offset');
  const [typed, setTyped] = useState('');
  const [problem, setProblem] = useState('');
  const [isBusy, setBusy] = useState(false);
  const submit = async (event: Event) => {
    event.preventDefault();
    const value = valueOf(kind, typed);
    if (value === undefined) {
      setProblem(
        kind === 'time' ? 'Write a moment like 2013-06-01 14:00, or milliseconds since 1970.' : 'Write a whole number.',
      );
      return;
    }
    setProblem('');
    setBusy(true);
    try {
      await list.jump(kind, value);
      list.focus();
    } catch (error) {
      setProblem(messageOf(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <form
      class="jump"
      data-testid="jump-form"
      data-state={isBusy ? 'loading' : problem ? 'error' : 'ready'}
      onSubmit={(event) => void submit(event)}
    >
      <select
        class="input jump-kind"
        aria-label="Jump to"
        data-testid="jump-kind"
        value={kind}
        onChange={(event) => (setKind(event.currentTarget.value as JumpKind), setProblem(''))}
      >
        {(Object.keys(LABELS) as JumpKind[]).map((name) => (
          <option key={name} value={name}>
            {LABELS[name]}
          </option>
        ))}
      </select>
      <input
        ref={inputRef}
        class="input jump-value"
        data-testid="jump-value"
        aria-label={`Jump to ${kind}`}
        aria-invalid={problem !== ''}
        inputMode={kind === 'time' ? 'text' : 'numeric'}
        placeholder={HINTS[kind]}
        autocomplete="off"
        spellcheck={false}
        value={typed}
        maxLength={48}
        onInput={(event) => (setTyped(event.currentTarget.value), setProblem(''))}
        onKeyDown={(event) => event.key === 'Escape' && list.focus()}
      />
      <button type="submit" class="button is-small" data-testid="jump" disabled={isBusy}>
        Jump
      </button>
      {problem !== '' && (
        <p class="jump-problem" role="alert" data-testid="jump-problem">
          {problem}
        </p>
      )}
    </form>
  );
}

function valueOf(kind: JumpKind, typed: string): bigint | undefined {
  const text = typed.trim().replace(/[,_ ](?=\d{3})/g, kind === 'time' ? '$&' : '');
  if (kind === 'time') return parseMoment(text, zone.value);
  if (kind === 'offset') return readOffset(text) ?? undefined;
  if (!/^\d{1,39}$/.test(text)) return undefined;
  const nonce = BigInt(text);
  return nonce < MOST_NONCE ? nonce : undefined;
}
