/** Keys to sign with: given once, or by a provider that is asked again before they expire. */

import { CredentialsError } from '../errors.js';
import type { Credentials, CredentialsProvider } from '../options.js';

/** A provider is asked so long before its keys expire. */
const EARLY_MILLISECONDS = 60_000;

export class Keys {
  readonly #given: Credentials | CredentialsProvider | undefined;
  readonly #shared: boolean;
  #known: Credentials | undefined;
  #asking: Promise<Credentials> | undefined;

  /** `shared`: whether calls may wait for one another's question (an edge runtime forbids it). */
  constructor(given: Credentials | CredentialsProvider | undefined, shared: boolean) {
    this.#given = given;
    this.#shared = shared;
    if (given && typeof given !== 'function') this.#known = given;
  }

  /** Whether new keys can be had. */
  get renewable(): boolean {
    return typeof this.#given === 'function';
  }

  /** Forgets keys that a store refused, unless there are newer ones already. */
  renew(refused: Credentials | undefined): void {
    if (this.renewable && this.#known === refused) this.#known = undefined;
  }

  async get(now: number, signal: AbortSignal): Promise<Credentials | undefined> {
    const known = this.#known;
    if (known && !(this.renewable && isExpiring(known, now))) return known;
    if (typeof this.#given !== 'function') return undefined;
    if (!this.#shared) return this.#ask(this.#given, signal);
    // Not the caller's signal: others may wait for the same answer.
    this.#asking ??= this.#ask(this.#given, new AbortController().signal).finally(() => (this.#asking = undefined));
    return this.#asking;
  }

  async #ask(provider: CredentialsProvider, signal: AbortSignal): Promise<Credentials> {
    let keys: Credentials;
    try {
      keys = checked(await provider({ signal }));
    } catch (cause) {
      throw Object.assign(new CredentialsError('Credentials', 'the credentials provider failed: see the cause'), { cause });
    }
    this.#known = keys;
    return keys;
  }
}

function isExpiring(keys: Credentials, now: number): boolean {
  return keys.expiration !== undefined && keys.expiration.getTime() - EARLY_MILLISECONDS <= now;
}

/** Refuses what is no keys, without repeating it. */
export function checked(keys: Credentials): Credentials {
  if (typeof keys?.accessKeyId !== 'string' || typeof keys.secretAccessKey !== 'string' || keys.accessKeyId === '') {
    throw new TypeError('credentials need an accessKeyId and a secretAccessKey');
  }
  return keys;
}
