/** Numbers, sizes and times as people read them. All digits have one width in the page's fonts. */

export type Zone = 'utc' | 'local';

const grouped = new Intl.NumberFormat('en-US');

export function formatCount(count: bigint | number): string {
  return grouped.format(count);
}

export function formatBytes(bytes: bigint | number): string {
  let amount = Number(bytes);
  if (amount < 1_024) return `${amount} B`;
  const units = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let unit = -1;
  do {
    amount /= 1_024;
    unit += 1;
  } while (amount >= 1_023.95 && unit < units.length - 1);
  return `${amount < 10 ? amount.toFixed(2) : amount.toFixed(1)} ${units[unit]}`;
}

export function formatDuration(milliseconds: number): string {
  if (milliseconds < 10) return `${milliseconds.toFixed(1)} ms`;
  if (milliseconds < 1_000) return `${Math.round(milliseconds)} ms`;
  return `${(milliseconds / 1_000).toFixed(2)} s`;
}

const LAST_DATE = 8_640_000_000_000_000n;

/** Whether a Date can say it, in four digits of a year. */
function isDate(timestamp: bigint): boolean {
  return timestamp >= -LAST_DATE && timestamp <= LAST_DATE;
}

/** `2013-01-01 10:00:00.000`; the bare number of milliseconds where it lies outside of what a Date can say. */
export function formatTime(timestamp: bigint, zone: Zone): string {
  if (!isDate(timestamp)) return `${timestamp} ms`;
  const iso = (zone === 'utc' ? new Date(Number(timestamp)) : asLocal(timestamp)).toISOString();
  return iso.replace('T', ' ').replace('Z', '');
}

/** Without milliseconds. */
export function formatMinute(timestamp: bigint, zone: Zone): string {
  return isDate(timestamp) ? formatTime(timestamp, zone).replace(/:\d\d\.\d+$/, '') : `${timestamp} ms`;
}

/** A Date whose UTC fields read as the local ones. */
function asLocal(timestamp: bigint): Date {
  const date = new Date(Number(timestamp));
  const local = new Date(date.getTime() - date.getTimezoneOffset() * 60_000);
  return Number.isNaN(local.getTime()) ? date : local;
}

/** `UTC`, or the local zone's name. */
export function zoneName(zone: Zone): string {
  return zone === 'utc' ? 'UTC' : Intl.DateTimeFormat().resolvedOptions().timeZone;
}

const AGES: readonly [number, string][] = [
  [365.25 * 86_400_000, 'y'],
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
  [1_000, 's'],
];

/** `3 d`: how long ago. */
export function formatAge(timestamp: bigint, now: number): string {
  const age = now - Number(timestamp);
  if (!Number.isFinite(age)) return '';
  const ahead = age < -1_000;
  for (const [length, unit] of AGES) {
    const amount = Math.abs(age) / length;
    if (amount >= 1)
      return `${ahead ? 'in ' : ''}${amount < 10 && unit === 'y' ? amount.toFixed(1) : Math.floor(amount)} ${unit}`;
  }
  return 'now';
}

/** A typed moment: RFC 3339, a date, a date and time in the zone, or milliseconds since 1970. */
export function parseMoment(typed: string, zone: Zone): bigint | undefined {
  const text = typed.trim();
  if (/^-?\d{5,19}$/.test(text)) return BigInt(text);
  const found =
    /^(\d{4})(?:-(\d\d)(?:-(\d\d))?)?(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,3})\d*)?)?)?\s*(Z|[+-]\d\d:?\d\d)?$/i.exec(
      text,
    );
  if (!found) return undefined;
  const [, year, month = '01', day = '01', hour = '00', minute = '00', second = '00', fraction = '0', offset] = found;
  const clock = `${year}-${month}-${day}T${hour}:${minute}:${second}.${fraction.padEnd(3, '0')}`;
  const suffix = offset
    ? offset.toUpperCase() === 'Z'
      ? 'Z'
      : offset.replace(/(\d\d):?(\d\d)$/, '$1:$2')
    : zone === 'utc'
      ? 'Z'
      : '';
  const milliseconds = Date.parse(`${clock}${suffix}`);
  return Number.isNaN(milliseconds) ? undefined : BigInt(milliseconds);
}
