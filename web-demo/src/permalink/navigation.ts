/** The place that the URL names, kept in step with it. */

import { signal } from '@preact/signals';

import type { Connection } from '../connect/connection';
import { formatLink, type Link, parseLink, type Place } from './permalink';

export const place = signal<Place>(parseLink(location.hash).place);

/** Counts the times that a link was followed: the view it leads to begins anew. */
export const arrivals = signal(0);

/** What the links of this page begin with: the connection, unless it is the page's own. */
export const linked = signal<Connection | null>(null);

export function currentLink(): Link {
  return parseLink(location.hash);
}

export function hrefOf(target: Place): string {
  return formatLink({ connection: linked.value, place: target });
}

/** Goes to another place; `replaces` the present one in the history where that is none of its own. */
export function go(target: Place, replaces = false): void {
  flush();
  place.value = target;
  arrivals.value += 1;
  const href = hrefOf(target);
  if (href === location.hash) return;
  if (replaces) history.replaceState(null, '', href);
  else history.pushState(null, '', href);
}

/** Browsers allow a hundred changes in half a minute. */
const PAUSE_MILLISECONDS = 400;
let waiting: ReturnType<typeof setTimeout> | undefined;
let latest: Place | undefined;

/** Notes where the same view stands. The URL follows a little later. */
export function note(target: Place): void {
  latest = target;
  place.value = target;
  waiting ??= setTimeout(flush, PAUSE_MILLISECONDS);
}

export function flush(): void {
  clearTimeout(waiting);
  waiting = undefined;
  if (latest) history.replaceState(null, '', hrefOf(latest));
  latest = undefined;
}

/** Shows what a link leads to. */
export function arrive(target: Place): void {
  place.value = target;
  arrivals.value += 1;
}

/** Told of every link that the user follows or types. */
export function onLink(follow: (link: Link) => void): void {
  addEventListener('popstate', () => {
    clearTimeout(waiting);
    waiting = undefined;
    latest = undefined;
    const link = currentLink();
    follow(link);
  });
}
