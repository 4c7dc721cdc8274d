import type { Item, Order, Store } from 'klstore';
import { useCallback, useEffect, useRef, useState } from 'react';

export interface UseListOptions {
  /** `backwards` where it is left out: the newest first. */
  readonly order?: Order;
  /** Items of a page; 50 where it is left out. */
  readonly pageSize?: number;
}

export interface List {
  readonly items: readonly Item[];
  readonly isLoading: boolean;
  /** Of the last page; `loadMore` tries again. */
  readonly error: Error | undefined;
  /** Whether there is more than what is in `items`. */
  readonly hasMore: boolean;
  /** Reads the next page; does nothing while one is read, or at the end. */
  readonly loadMore: () => void;
}

interface State {
  readonly items: readonly Item[];
  /** `undefined` before the first page, `null` after the last. */
  readonly continuation: string | null | undefined;
  readonly isLoading: boolean;
  readonly error: Error | undefined;
}

const NOTHING: State = { items: [], continuation: undefined, isLoading: true, error: undefined };

/**
 * A list, page by page. The first page is read at once, and again where the list or the options change; what is under way
 * is aborted then, and when the component goes away.
 */
export function useList(store: Store, keyspace: string, key: string, options: UseListOptions = {}): List {
  const { order = 'backwards', pageSize = 50 } = options;
  const [state, setState] = useState(NOTHING);
  // Reads the page after what is shown, of the list that is shown now.
  const readNext = useRef(() => {});

  useEffect(() => {
    const abort = new AbortController();
    const { signal } = abort;
    let [continuation, isReading]: [string | null | undefined, boolean] = [undefined, false];
    const read = async () => {
      if (isReading || continuation === null) return;
      isReading = true;
      setState((before) => ({ ...before, isLoading: true, error: undefined }));
      try {
        const page = await store.readPage(keyspace, key, { order, maxItems: pageSize, continuation, signal });
        continuation = page.continuation;
        setState(({ items }) => ({ items: [...items, ...page.items], continuation, isLoading: false, error: undefined }));
      } catch (reason) {
        if (signal.aborted) return;
        const error = reason instanceof Error ? reason : new Error(String(reason));
        setState((before) => ({ ...before, isLoading: false, error }));
      } finally {
        isReading = false;
      }
    };
    readNext.current = read;
    setState(NOTHING);
    void read();
    return () => abort.abort();
  }, [store, keyspace, key, order, pageSize]);

  const loadMore = useCallback(() => readNext.current(), []);
  const { items, continuation, isLoading, error } = state;
  return { items, isLoading, error, hasMore: continuation !== null, loadMore };
}
