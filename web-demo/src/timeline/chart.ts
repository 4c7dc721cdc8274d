/** The bars of a time line in uPlot, with a brush that works by mouse, pen and finger. */

import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';

import type { Zone } from '../preferences/format';
import { type Bars, barsOf, tickText, type Window } from './histogram';
import type { TimelineSpan } from 'klstore';

export interface ChartEvents {
  /** The pointer is over a bar; undefined where it is over none. */
  hovered(bar: number | undefined): void;
  clicked(time: number): void;
  brushed(from: number, to: number): void;
}

/** Pixels that a bar takes, with its gap. */
const BAR_PIXELS = 4;
const HEIGHT = 92;
/** A shorter way is a click. */
const BRUSH_PIXELS = 5;

export class Chart {
  readonly #root: HTMLElement;
  readonly #events: ChartEvents;
  readonly #mark: HTMLElement;
  readonly #listening = new AbortController();
  readonly #resizes: ResizeObserver;
  #plot: uPlot | undefined;
  #spans: readonly TimelineSpan[] = [];
  #window: Window = { from: 0, to: 1 };
  #zone: Zone = 'utc';
  #marked: readonly [number, number] | undefined;
  #bars: Bars = { starts: new Float64Array(), items: new Float64Array(), width: 1 };
  #width = 0;

  constructor(root: HTMLElement, events: ChartEvents) {
    this.#root = root;
    this.#events = events;
    this.#mark = document.createElement('div');
    this.#mark.className = 'timeline-mark';
    this.#mark.dataset.testid = 'timeline-mark';
    this.#resizes = new ResizeObserver(() => {
      if (root.clientWidth !== this.#width) this.draw();
    });
    this.#resizes.observe(root);
  }

  dispose(): void {
    this.#listening.abort();
    this.#resizes.disconnect();
    this.#plot?.destroy();
  }

  get bars(): Bars {
    return this.#bars;
  }

  show(spans: readonly TimelineSpan[], window: Window, zone: Zone): void {
    this.#spans = spans;
    this.#window = window;
    this.#zone = zone;
    this.draw();
  }

  /** Draws all anew: the size, the colours or the spans have changed. */
  draw(): void {
    this.#width = this.#root.clientWidth;
    if (this.#width < 40) return;
    const bars = barsOf(this.#spans, this.#window, Math.max(10, Math.floor(this.#width / BAR_PIXELS)));
    this.#bars = bars;
    this.#plot?.destroy();
    const plot = new uPlot(this.#options(), [bars.starts, bars.items], this.#root);
    this.#plot = plot;
    plot.over.append(this.#mark);
    this.#bind(plot);
    this.mark(this.#marked);
  }

  /** Shows where the rows that are seen lie. */
  mark(times: readonly [number, number] | undefined): void {
    this.#marked = times;
    const plot = this.#plot;
    const { from, to } = this.#window;
    const isShown = plot !== undefined && times !== undefined && times[1] >= from && times[0] <= to;
    this.#mark.hidden = !isShown;
    if (!isShown) return;
    const width = this.#width;
    const left = ((Math.max(times[0], from) - from) / (to - from)) * width;
    const right = ((Math.min(times[1], to) - from) / (to - from)) * width;
    // Never narrower than one sees.
    const wide = Math.max(3, right - left);
    this.#mark.style.transform = `translateX(${Math.min(left, width - wide)}px)`;
    this.#mark.style.width = `${wide}px`;
  }

  /** Shows a cursor, and a selection up to it where one began. */
  select(from: number | undefined, to: number | undefined): void {
    const plot = this.#plot;
    if (!plot) return;
    const isNone = from === undefined || to === undefined;
    const [left, right] = isNone
      ? [0, 0]
      : [plot.valToPos(Math.min(from, to), 'x'), plot.valToPos(Math.max(from, to), 'x')];
    plot.setSelect(
      { left, width: Math.max(isNone ? 0 : 1, right - left), top: 0, height: isNone ? 0 : plot.over.clientHeight },
      false,
    );
  }

  #options(): uPlot.Options {
    const style = getComputedStyle(this.#root);
    // A canvas knows no custom properties: the style sheet says the colours in these.
    const [text, fill, rule] = [style.color, style.caretColor, style.columnRuleColor];
    const font = `11px ${style.fontFamily}`;
    const axis = { stroke: text, font, ticks: { show: false } };
    return {
      width: this.#width,
      height: HEIGHT,
      ms: 1,
      padding: [6, 0, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { setScale: false, x: false, y: false } },
      tzDate: (time) => (this.#zone === 'utc' ? uPlot.tzDate(new Date(time), 'Etc/UTC') : new Date(time)),
      scales: {
        x: { time: true, range: () => [this.#window.from, this.#window.to] },
        y: { range: (_plot, _min, max) => [0, max > 0 ? max * 1.05 : 1] },
      },
      axes: [
        {
          ...axis,
          grid: { show: false },
          size: 22,
          gap: 4,
          space: 90,
          values: (plot, splits, _axis, _space, step) =>
            // One that would be cut off is left out.
            splits.map((time) => {
              const left = plot.valToPos(time, 'x');
              return left < 20 || left > this.#width - 20 ? '' : tickText(time, step, this.#zone);
            }),
        },
        { show: false, grid: { stroke: rule, width: 1 } },
      ],
      series: [
        {},
        { fill, width: 0, points: { show: false }, paths: uPlot.paths.bars!({ size: [1, 100], gap: 1, align: 1 }) },
      ],
      hooks: {
        setCursor: [
          (plot) => {
            const { left } = plot.cursor;
            this.#events.hovered(left === undefined || left === null || left < 0 ? undefined : this.#barAt(left, plot));
          },
        ],
      },
    };
  }

  #barAt(left: number, plot: uPlot): number {
    const bars = this.#bars.starts.length;
    return Math.min(bars - 1, Math.max(0, Math.floor((left / plot.over.clientWidth) * bars)));
  }

  #bind({ over }: uPlot): void {
    let began: number | undefined;
    const { signal } = this.#listening;
    const leftOf = (event: PointerEvent) => {
      const { left, width } = over.getBoundingClientRect();
      return Math.min(Math.max(0, event.clientX - left), width);
    };
    const timeOf = (left: number) =>
      this.#window.from + (left / over.clientWidth) * (this.#window.to - this.#window.from);
    over.addEventListener(
      'pointerdown',
      (event) => {
        if (event.button !== 0) return;
        began = leftOf(event);
        over.setPointerCapture(event.pointerId);
      },
      { signal },
    );
    over.addEventListener(
      'pointermove',
      (event) => {
        if (began !== undefined) this.select(timeOf(began), timeOf(leftOf(event)));
      },
      { signal },
    );
    over.addEventListener(
      'pointerup',
      (event) => {
        if (began === undefined) return;
        const [from, to] = [began, leftOf(event)].sort((one, other) => one - other) as [number, number];
        began = undefined;
        this.select(undefined, undefined);
        if (to - from < BRUSH_PIXELS) this.#events.clicked(timeOf(to));
        else this.#events.brushed(timeOf(from), timeOf(to));
      },
      { signal },
    );
    over.addEventListener(
      'pointercancel',
      () => {
        began = undefined;
        this.select(undefined, undefined);
      },
      { signal },
    );
  }
}
