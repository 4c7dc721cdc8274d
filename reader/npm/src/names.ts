/** Names, a page at a time or all of them. */

import type { CallOptions, Names } from './types.js';

interface PageOfNames {
  readonly continuation: string | null;
}

export class NamePages<P extends PageOfNames, T> implements Names<P, T> {
  constructor(
    private readonly options: CallOptions & { readonly continuation?: string | undefined },
    private readonly read: (continuation: string | undefined) => Promise<P>,
    private readonly namesOf: (page: P) => readonly T[],
  ) {}

  then<A = P, B = never>(
    fulfilled?: ((page: P) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.read(this.options.continuation).then(fulfilled, rejected);
  }

  async *[Symbol.asyncIterator](): AsyncIterableIterator<T> {
    let continuation = this.options.continuation;
    do {
      const page = await this.read(continuation);
      yield* this.namesOf(page);
      continuation = page.continuation ?? undefined;
    } while (continuation !== undefined);
  }
}
