/** Whether a store is closed. */

import type { ClosedError } from '../errors.js';

/** Not an AbortController: an edge runtime ties that to the request in which it was made, and a store may outlive it. */
export class Closing {
  #reason: ClosedError | undefined;
  readonly #listeners = new Set<(reason: ClosedError) => void>();

  throwIfClosed(): void {
    if (this.#reason) throw this.#reason;
  }

  /** Calls `tell` when it is closed; answers what takes that back. */
  onClose(tell: (reason: ClosedError) => void): () => void {
    this.#listeners.add(tell);
    return () => this.#listeners.delete(tell);
  }

  close(reason: ClosedError): void {
    this.#reason ??= reason;
    for (const tell of this.#listeners) tell(reason);
  }
}
