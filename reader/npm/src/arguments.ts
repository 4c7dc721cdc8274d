/** What callers pass, checked before it reaches the module: there a BigInt would wrap around silently. */

import { InvalidArgumentError } from './errors.js';
import type { Timestamp } from './types.js';

export function refuse(message: string): never {
  throw new InvalidArgumentError('InvalidArgument', message);
}

export function text(what: string, value: unknown): string {
  return typeof value === 'string' ? value : refuse(`${what} is to be a string`);
}

export function optionalText(what: string, value: unknown): string | undefined {
  return value === undefined || value === null ? undefined : text(what, value);
}

/** Items or names at most. */
export function count(what: string, value: number | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (!Number.isSafeInteger(value) || value < 1) refuse(`${what} is to be a whole number from 1 on`);
  return value;
}

/** Milliseconds, bytes and the like. */
export function quantity(what: string, value: number | undefined, usual: number, most: number): number {
  if (value === undefined) return usual;
  if (typeof value !== 'number' || !(value >= 0 && value <= most)) refuse(`${what} is to be a number from 0 to ${most}`);
  return Math.floor(value);
}

/** An unsigned integer of so many bits. */
export function unsigned(what: string, value: bigint | number | undefined, bits: number): bigint | undefined {
  return value === undefined ? undefined : integer(what, value, 0n, 2n ** BigInt(bits) - 1n);
}

export function timestamp(what: string, value: Timestamp | undefined): bigint | undefined {
  if (value === undefined) return undefined;
  const milliseconds = value instanceof Date ? value.getTime() : typeof value === 'number' ? Math.floor(value) : value;
  return integer(what, milliseconds, -(2n ** 63n), 2n ** 63n - 1n);
}

function integer(what: string, value: bigint | number, least: bigint, most: bigint): bigint {
  if (typeof value !== 'bigint' && !Number.isInteger(value)) refuse(`${what} is to be a whole number or a BigInt`);
  const exact = BigInt(value);
  return exact >= least && exact <= most ? exact : refuse(`${what} is to be from ${least} to ${most}`);
}
