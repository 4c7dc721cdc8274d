/** Which items to export, and as what. */

import { useEffect, useRef, useState } from 'preact/hooks';

import type { ListController } from '../list/controller';
import { readOffset } from '../permalink/permalink';
import { formatBytes, formatCount } from '../preferences/format';
import { announce } from '../ui/announce';
import { Dialog } from '../ui/dialog';
import { Failure } from '../ui/failure';
import { fileName, type Format } from './lines';
import { type Exported, exportRange, MOST_BYTES, MOST_ITEMS, type Progress } from './run';

interface Props {
  readonly list: ListController;
  readonly onClose: () => void;
}

type State =
  | { readonly kind: 'idle' }
  | { readonly kind: 'running'; readonly progress: Progress; readonly items: number }
  | { readonly kind: 'done'; readonly exported: Exported; readonly url: string; readonly name: string }
  | { readonly kind: 'failed'; readonly error: unknown };

export function ExportDialog({ list, onClose }: Props) {
  const { model } = list;
  const { first: begin, next } = model.known.value;
  const [first, setFirst] = useState(String(begin));
  const [last, setLast] = useState(String(next > begin ? next - 1n : begin));
  const [format, setFormat] = useState<Format>('ndjson');
  const [guard, setGuard] = useState(true);
  const [problem, setProblem] = useState('');
  const [state, setState] = useState<State>({ kind: 'idle' });
  const abort = useRef<AbortController>(undefined);
  useEffect(() => () => abort.current?.abort(), []);
  useEffect(() => (state.kind === 'done' ? () => URL.revokeObjectURL(state.url) : undefined), [state]);

  const run = async (event: Event) => {
    event.preventDefault();
    const [from, to] = [readOffset(first.trim()), readOffset(last.trim())];
    if (from === null || to === null || from > to) {
      setProblem('Write two offsets, the lower one first.');
      return;
    }
    setProblem('');
    const running = new AbortController();
    abort.current = running;
    const wanted = Math.min(Number(to - from) + 1, MOST_ITEMS);
    setState({ kind: 'running', progress: { items: 0, bytes: 0 }, items: wanted });
    try {
      const range = { keyspace: model.keyspace, key: model.key, first: from, last: to };
      const csv = { columns: list.columns.value, guard };
      const exported = await exportRange(model.store, range, format, csv, running.signal, (progress) => {
        if (!running.signal.aborted) setState({ kind: 'running', progress, items: wanted });
      });
      const name = fileName(model.keyspace, model.key, from, exported.last ?? to, format);
      setState({ kind: 'done', exported, name, url: URL.createObjectURL(exported.blob) });
      announce(`${exported.items} items are ready to be saved.`);
    } catch (error) {
      setState(running.signal.aborted ? { kind: 'idle' } : { kind: 'failed', error });
    }
  };

  const seen = list.seenOffsets.value;
  const choose = (from: bigint, to: bigint) => {
    setFirst(String(from));
    setLast(String(to));
  };
  const isRunning = state.kind === 'running';
  return (
    <Dialog title="Export items" testid="export" onClose={onClose}>
      <form class="form" data-testid="export-form" data-state={state.kind} onSubmit={(event) => void run(event)}>
        <div class="field-pair">
          <label class="field">
            <span class="field-label">From offset</span>
            <input
              class="input is-data"
              data-testid="export-first"
              value={first}
              disabled={isRunning}
              inputMode="numeric"
              onInput={(event) => setFirst(event.currentTarget.value)}
            />
          </label>
          <label class="field">
            <span class="field-label">To offset, included</span>
            <input
              class="input is-data"
              data-testid="export-last"
              value={last}
              disabled={isRunning}
              inputMode="numeric"
              onInput={(event) => setLast(event.currentTarget.value)}
            />
          </label>
        </div>
        <div class="choices">
          <button
            type="button"
            class="button is-small"
            disabled={isRunning}
            onClick={() => choose(begin, next > begin ? next - 1n : begin)}
          >
            The whole list
          </button>
          {seen && (
            <button
              type="button"
              class="button is-small"
              disabled={isRunning}
              data-testid="export-seen"
              onClick={() => choose(seen.first, seen.last)}
            >
              What is seen
            </button>
          )}
        </div>
        <div class="segments" role="radiogroup" aria-label="Format">
          {(['ndjson', 'csv'] as const).map((name) => (
            <label key={name} class={`segment${format === name ? ' is-on' : ''}`}>
              <input
                type="radio"
                name="format"
                checked={format === name}
                disabled={isRunning}
                data-testid={`export-${name}`}
                onChange={() => setFormat(name)}
              />
              {name.toUpperCase()}
            </label>
          ))}
        </div>
        <p class="field-hint">
          {format === 'ndjson'
            ? 'One item a line, as klstore read writes and klstore append reads.'
            : `Offset, timestamp, time, nonce, ${list.columns.value.length > 0 ? 'your columns, ' : ''}value; what is no text as base64.`}
        </p>
        {format === 'csv' && (
          <label class="check">
            <input
              type="checkbox"
              checked={guard}
              disabled={isRunning}
              data-testid="export-guard"
              onChange={(event) => setGuard(event.currentTarget.checked)}
            />
            <span>Put a quote before what a spreadsheet would run as a formula</span>
          </label>
        )}
        {problem !== '' && (
          <p class="field-hint is-wrong" role="alert">
            {problem}
          </p>
        )}
        {isRunning && (
          <div class="progress" data-testid="export-progress" data-items={state.progress.items}>
            <progress max={state.items} value={state.progress.items} aria-label="Export" />
            <span>
              {formatCount(state.progress.items)} of {formatCount(state.items)} items,{' '}
              {formatBytes(state.progress.bytes)}
            </span>
          </div>
        )}
        {state.kind === 'done' && (
          <p class="form-done" data-testid="export-done" data-items={state.exported.items}>
            {formatCount(state.exported.items)} items, {formatBytes(state.exported.bytes)}.
            {state.exported.cut === 'items' && ` Cut at ${formatCount(MOST_ITEMS)} items, the most of one file.`}
            {state.exported.cut === 'bytes' && ` Cut at ${formatBytes(MOST_BYTES)}, the most of one file.`}
          </p>
        )}
        {state.kind === 'failed' && <Failure error={state.error} inForm />}
        <div class="form-actions">
          {isRunning ? (
            <button type="button" class="button" data-testid="export-cancel" onClick={() => abort.current?.abort()}>
              Cancel
            </button>
          ) : (
            <button type="submit" class={`button${state.kind === 'done' ? '' : ' is-main'}`} data-testid="export-run">
              {state.kind === 'done' ? 'Export again' : 'Export'}
            </button>
          )}
          {state.kind === 'done' && (
            <a class="button is-main" href={state.url} download={state.name} data-testid="export-save">
              Save {state.name}
            </a>
          )}
        </div>
      </form>
    </Dialog>
  );
}
