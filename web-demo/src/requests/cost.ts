/** What requests cost on S3, by its public prices. */

export interface Prices {
  readonly name: string;
  readonly date: string;
  readonly listPerThousand: number;
  readonly getPerThousand: number;
  /** To the internet; within a region there is none to pay. */
  readonly trafficPerGigabyte: number;
}

/** The table of `klstore cost --print-prices`. */
export const PRICES: Prices = {
  name: 'Amazon S3 Standard, us-east-1',
  date: '2025',
  listPerThousand: 0.005,
  getPerThousand: 0.0004,
  trafficPerGigabyte: 0.09,
};

export interface Usage {
  readonly lists: number;
  readonly gets: number;
  readonly bytes: number;
}

/** In dollars. Whatever an HTTP cache may have answered counts as sent: it is what it cost at most. */
export function costOf({ lists, gets, bytes }: Usage, prices: Prices = PRICES): number {
  const requests = (lists * prices.listPerThousand + gets * prices.getPerThousand) / 1_000;
  return requests + (bytes / 1e9) * prices.trafficPerGigabyte;
}

/** Two digits that count, however small. */
export function formatDollars(dollars: number): string {
  if (dollars === 0) return '$0';
  if (dollars >= 0.01) return `$${dollars.toFixed(2)}`;
  const digits = Math.min(9, 1 - Math.floor(Math.log10(dollars)));
  return `$${dollars.toFixed(digits)}`;
}
