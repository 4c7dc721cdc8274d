/** The whole list in time, drawn from its index alone: jump by a click, zoom by a brush, or by keys. */

import { effect, useSignal } from '@preact/signals';
import type { RefObject } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Timeline } from 'klstore';

import type { ListController } from '../list/controller';
import { formatCount, formatTime, zoneName } from '../preferences/format';
import { theme, zone } from '../preferences/preferences';
import { begin, spent } from '../requests/log';
import { messageOf } from '../ui/failure';
import { Icon } from '../ui/icon';
import { Chart } from './chart';
import { extentOf, isSorted, spanOfTime, timeOfOffset, type Window } from './histogram';

interface Props {
  readonly list: ListController;
  readonly focusRef: RefObject<HTMLDivElement | null>;
}

/** While a list is followed its time line is drawn again so often, in milliseconds. */
const LIVE_PAUSE = 10_000;

export function TimelineView({ list, focusRef }: Props) {
  const { model } = list;
  const root = useRef<HTMLDivElement>(null);
  const chart = useRef<Chart>(undefined);
  const [timeline, setTimeline] = useState<Timeline | null>();
  const [error, setError] = useState<unknown>();
  const [tries, setTries] = useState(0);
  const hovered = useSignal<number | undefined>(undefined);
  const cursor = useRef<number | undefined>(undefined);
  const anchor = useRef<number | undefined>(undefined);
  const window = list.window.value;
  const isSettled = model.isSettled.value;
  const next = model.known.value.next;
  const drawnAt = useRef(0);
  const isLive = list.live.state.value !== 'off';

  useEffect(() => {
    if (!isSettled) return undefined;
    const abort = new AbortController();
    setError(undefined);
    const wait =
      timeline && isLive && tries === 0 ? Math.max(0, LIVE_PAUSE - (performance.now() - drawnAt.current)) : 0;
    const timer = setTimeout(() => void read(abort.signal), wait);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [isSettled, isLive ? next : 0n, window, tries]);

  const read = async (signal: AbortSignal) => {
    const label = begin(window ? 'Zoom the time line' : 'Draw the time line');
    try {
      const part = window ? { from: Math.floor(window[0]), to: Math.ceil(window[1]) } : {};
      const found = await model.store.timeline(model.keyspace, model.key, { ...part, signal, label });
      if (signal.aborted) return;
      if (found) spent(label, found.stats);
      drawnAt.current = performance.now();
      setTimeline(found);
      setTries(0);
    } catch (failure) {
      if (!signal.aborted) setError(failure);
    }
  };

  const shown: Window | undefined = window
    ? { from: window[0], to: window[1] }
    : timeline
      ? extentOf(timeline.spans)
      : undefined;

  const jumpTo = (from: number, to: number) => {
    const spans = timeline?.spans ?? [];
    const among = isSorted(spans) ? undefined : spanOfTime(spans, { from, to });
    const [begin, end] = [BigInt(Math.floor(from)), BigInt(Math.ceil(to))];
    const jumping = among ? list.jumpAmong(among.firstOffset, among.itemCount, begin, end) : list.jump('time', begin);
    jumping.catch((failure: unknown) => !model.signal.aborted && setError(failure));
  };
  const zoomTo = (from: number, to: number, jumps: boolean) => {
    if (to - from < 2) return;
    list.window.value = [Math.floor(from), Math.ceil(to)];
    cursor.current = undefined;
    anchor.current = undefined;
    if (jumps) jumpTo(from, to);
  };

  // The chart lives longer than what it is told to do.
  const acts = useRef({ jumpTo, zoomTo });
  acts.current = { jumpTo, zoomTo };

  useEffect(() => {
    const made = new Chart(root.current!, {
      hovered: (bar) => (hovered.value = bar),
      clicked: (time) => acts.current.jumpTo(time, time + (made.bars.width || 1)),
      brushed: (from, to) => acts.current.zoomTo(from, to, true),
    });
    chart.current = made;
    const dark = matchMedia('(prefers-color-scheme: dark)');
    const redraw = () => made.draw();
    dark.addEventListener('change', redraw);
    return () => {
      dark.removeEventListener('change', redraw);
      made.dispose();
    };
  }, []);

  useEffect(() => {
    if (timeline && shown) chart.current?.show(timeline.spans, shown, zone.value);
  }, [timeline, zone.value, theme.value, shown?.from, shown?.to]);

  // Follows the rows while they scroll, without rendering anything.
  useEffect(() => {
    let frame = 0;
    const stop = effect(() => {
      const seen = list.seenOffsets.value;
      void model.version.value;
      if (!timeline) return;
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        chart.current?.mark(seen ? timesOf(list, timeline) : undefined);
      });
    });
    return () => {
      stop();
      cancelAnimationFrame(frame);
    };
  }, [timeline, shown?.from, shown?.to]);

  const onKey = (event: KeyboardEvent) => {
    const bars = chart.current?.bars;
    if (!bars || !shown || event.ctrlKey || event.metaKey || event.altKey) return;
    const count = bars.starts.length;
    const middle = (shown.from + shown.to) / 2;
    const at = cursor.current ?? Math.floor(count / 2);
    const timeAt = (bar: number) => shown.from + bar * bars.width;
    const span = shown.to - shown.from;
    switch (event.key) {
      case 'ArrowLeft':
      case 'ArrowRight': {
        const step = event.key === 'ArrowLeft' ? -1 : 1;
        if (event.shiftKey) anchor.current ??= at;
        else anchor.current = undefined;
        cursor.current = Math.min(count - 1, Math.max(0, cursor.current === undefined ? at : at + step));
        break;
      }
      case 'Home':
      case 'End':
        cursor.current = event.key === 'Home' ? 0 : count - 1;
        anchor.current = undefined;
        break;
      case 'Enter':
        if (anchor.current !== undefined && anchor.current !== at) {
          const [from, to] = [Math.min(anchor.current, at), Math.max(anchor.current, at) + 1];
          zoomTo(timeAt(from), timeAt(to), true);
        } else jumpTo(timeAt(at), timeAt(at + 1));
        break;
      case '+':
      case '=': {
        const center = cursor.current === undefined ? middle : timeAt(at);
        zoomTo(Math.max(shown.from, center - span / 4), Math.min(shown.to, center + span / 4), false);
        break;
      }
      case '-':
        if (window) zoomTo(shown.from - span / 2, shown.to + span / 2, false);
        break;
      case '0':
        list.window.value = null;
        break;
      default:
        return;
    }
    event.preventDefault();
    event.stopPropagation();
    hovered.value = cursor.current;
    if (cursor.current === undefined) chart.current?.select(undefined, undefined);
    else chart.current?.select(timeAt(anchor.current ?? cursor.current), timeAt(cursor.current + 1));
  };

  const bars = chart.current?.bars;
  const bar = hovered.value;
  const start = bar === undefined ? undefined : bars?.starts[bar];
  const said =
    start === undefined || bar === undefined
      ? ''
      : `${shortTime(start)} – ${shortTime(start + (bars?.width ?? 0))} · about ${formatCount(Math.round(bars?.items[bar] ?? 0))} items`;
  const state = error !== undefined ? 'error' : timeline === undefined ? 'loading' : 'ready';
  return (
    <section
      class="timeline"
      aria-labelledby="timeline-title"
      data-testid="timeline"
      data-state={state}
      data-spans={timeline?.spans.length ?? 0}
      data-zoomed={window !== null}
    >
      <header class="timeline-head">
        <h2 id="timeline-title" class="overline">
          {window ? 'Part of the time' : 'Time line'}
        </h2>
        {window && (
          <button
            type="button"
            class="button is-small"
            data-testid="timeline-reset"
            onClick={() => (list.window.value = null)}
          >
            Whole list
          </button>
        )}
        <span class="timeline-said" data-testid="timeline-said">
          {error !== undefined ? (
            <span class="is-problem">
              <Icon name="warning" /> {messageOf(error)}{' '}
              <button type="button" class="button is-small" onClick={() => setTries(tries + 1)}>
                Try again
              </button>
            </span>
          ) : (
            said || (shown ? `${shortTime(shown.from)} – ${shortTime(shown.to)} ${zoneName(zone.value)}` : '')
          )}
        </span>
      </header>
      <div
        ref={focusRef}
        class="timeline-chart"
        tabIndex={0}
        role="slider"
        aria-label="Time line: arrow keys move, Enter jumps"
        aria-valuemin={0}
        aria-valuemax={Math.max(1, (bars?.starts.length ?? 1) - 1)}
        aria-valuenow={bar ?? 0}
        aria-valuetext={said || 'No time chosen'}
        onKeyDown={onKey}
      >
        <div ref={root} class="timeline-plot" data-testid="timeline-plot" />
      </div>
    </section>
  );
}

/** When the rows that are seen were written: by their items where those are there, by the index until then. */
function timesOf(list: ListController, { spans }: Timeline): [number, number] | undefined {
  const seen = list.seenOffsets.peek();
  if (!seen) return undefined;
  const { first, last } = seen;
  const times: number[] = [];
  for (let offset = first; offset <= last; offset++) {
    const item = list.model.chunks.item(offset);
    if (item) times.push(Number(item.timestamp));
  }
  if (times.length === 0) {
    const guesses = [timeOfOffset(first, spans), timeOfOffset(last, spans)];
    times.push(...guesses.filter((guess) => guess !== undefined));
  }
  return times.length === 0 ? undefined : [Math.min(...times), Math.max(...times)];
}

function shortTime(time: number): string {
  return formatTime(BigInt(Math.round(time)), zone.value).slice(0, 16);
}
