/** What the first view does without: its code comes when it is first shown. */

import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';

/**
 * A component whose code `load` fetches once. Until then it shows nothing; where it cannot be had, the boundary around
 * it says so.
 */
export function later<P extends object>(load: () => Promise<ComponentType<P>>): ComponentType<P> {
  let loaded: ComponentType<P> | undefined;
  return function Later(props: P) {
    const [, setLoads] = useState(0);
    const [failure, setFailure] = useState<{ readonly error: unknown }>();
    useEffect(() => {
      let isShown = true;
      if (loaded) return undefined;
      load().then(
        (component) => {
          loaded = component;
          if (isShown) setLoads(1);
        },
        (error: unknown) => isShown && setFailure({ error }),
      );
      return () => {
        isShown = false;
      };
    }, []);
    if (failure) throw failure.error;
    const Component = loaded;
    return Component ? <Component {...props} /> : null;
  };
}
