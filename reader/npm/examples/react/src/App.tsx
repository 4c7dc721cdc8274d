import type { Store } from 'klstore';
import { useEffect, useRef, useState } from 'react';

import { useList } from './use-list';

interface Props {
  readonly store: Store;
  readonly keyspace: string;
  readonly keys: readonly string[];
}

/** Several lists, of which one is shown. */
export function App({ store, keyspace, keys }: Props) {
  const [shown, show] = useState<string | undefined>(keys[0]);
  return (
    <main>
      <nav>
        {keys.map((key) => (
          <button key={key} aria-pressed={key === shown} onClick={() => show(key)}>
            {key}
          </button>
        ))}
        <button onClick={() => show(undefined)}>none</button>
      </nav>
      {shown !== undefined && <ListOf store={store} keyspace={keyspace} listKey={shown} />}
    </main>
  );
}

function ListOf({ store, keyspace, listKey }: { store: Store; keyspace: string; listKey: string }) {
  const { items, isLoading, error, hasMore, loadMore } = useList(store, keyspace, listKey);
  const end = useRef<HTMLParagraphElement>(null);

  // The next page comes when the end of this one is about to be seen.
  useEffect(() => {
    const observer = new IntersectionObserver(
      (entries) => entries.some((entry) => entry.isIntersecting) && loadMore(),
      { rootMargin: '300px' },
    );
    if (end.current && hasMore && !error) observer.observe(end.current);
    return () => observer.disconnect();
  }, [items.length, hasMore, error, loadMore]);

  return (
    <>
      <ol>
        {items.map((item) => (
          <li key={String(item.offset)}>
            <time dateTime={item.date.toJSON() ?? undefined}>{item.date.toLocaleString()}</time> <span>{item.text()}</span>
          </li>
        ))}
      </ol>
      <p ref={end} role="status">
        {error ? <button onClick={loadMore}>{error.message} Try again.</button> : isLoading ? 'Reading …' : !hasMore && 'That is all.'}
      </p>
    </>
  );
}
