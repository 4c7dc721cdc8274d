/** The few signs of the page, drawn with lines. */

const PATHS = {
  arrowDown: 'M8 3v10m0 0 4-4m-4 4-4-4',
  arrowUp: 'M8 13V3m0 0 4 4M8 3 4 7',
  chart: 'M2.5 13.5h11M4 11V8m3 3V4m3 7V6m3 5V9',
  check: 'm3 8.5 3.2 3L13 4.5',
  chevron: 'm6 4 4 4-4 4',
  clock: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12Zm0-9v3l2 1.5',
  close: 'm4 4 8 8m0-8-8 8',
  columns: 'M2.5 3.5h11v9h-11zM6.2 3.5v9m3.6-9v9',
  copy: 'M5.5 5.5h7v8h-7zM3.5 10.5v-8h7',
  download: 'M8 2.5v8m0 0 3-3m-3 3-3-3m-2.5 6h11',
  help: 'M6 6.2A2 2 0 1 1 8.6 8c-.4.2-.6.5-.6 1v.4M8 11.8v.2M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12Z',
  link: 'M6.5 9.5 9.5 6.5M7 4.5l1.2-1.2a2.5 2.5 0 0 1 3.6 3.6L10.5 8M9 11.5l-1.2 1.2a2.5 2.5 0 0 1-3.6-3.6L5.5 8',
  minus: 'M3.5 8h9',
  moon: 'M13 9.5A5.5 5.5 0 0 1 6.5 3 5.5 5.5 0 1 0 13 9.5Z',
  next: 'm4 6 4 4 4-4',
  pause: 'M5.5 3.5v9m5-9v9',
  play: 'm5 3 7.5 5L5 13Z',
  plus: 'M8 3.5v9M3.5 8h9',
  previous: 'm4 10 4-4 4 4',
  search: 'M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9Zm3.3-1.2 3.2 3.2',
  sun: 'M8 10.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5Zm0-9v1m0 11v1m6.5-6.5h-1m-11 0h-1m11.1-4.6-.7.7m-7.8 7.8-.7.7m9.2 0-.7-.7M4.1 4.1l-.7-.7',
  system: 'M2.5 3.5h11v7h-11zM6 13.5h4m-2-3v3',
  warning: 'M8 2.5 14 13H2Zm0 4v3m0 1.8v.2',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { readonly name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">
      <path
        d={PATHS[name]}
        fill="none"
        stroke="currentColor"
        stroke-width="1.4"
        stroke-linecap="round"
        stroke-linejoin="round"
      />
    </svg>
  );
}
