/** What a user likes, kept in the browser. */

import { effect, signal } from '@preact/signals';

import type { Zone } from './format';

export type Theme = 'system' | 'light' | 'dark';

export const theme = signal<Theme>(oneOf(stored('klstore.theme'), ['system', 'light', 'dark']));
export const zone = signal<Zone>(oneOf(stored('klstore.zone'), ['utc', 'local']));

/** Keeps the document and the storage as the signals are. */
export function applyPreferences(): void {
  effect(() => {
    if (theme.value === 'system') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme.value;
    store('klstore.theme', theme.value);
  });
  effect(() => store('klstore.zone', zone.value));
}

function oneOf<T extends string>(text: string | null, allowed: readonly [T, ...T[]]): T {
  return allowed.find((value) => value === text) ?? allowed[0];
}

/** `null` also where the browser allows no storage. */
export function stored(name: string): string | null {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

export function store(name: string, text: string): void {
  try {
    localStorage.setItem(name, text);
  } catch {
    // Not kept, then: the page works without.
  }
}
