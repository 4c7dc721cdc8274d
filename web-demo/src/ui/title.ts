/** What the tab is called. */

import { useEffect } from 'preact/hooks';

export function useTitle(view: string): void {
  useEffect(() => {
    document.title = `${view} – klstore`;
    return () => {
      document.title = 'klstore';
    };
  }, [view]);
}
