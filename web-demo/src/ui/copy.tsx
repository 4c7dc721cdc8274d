/** A button that copies a text, and says so. */

import { useEffect, useState } from 'preact/hooks';

import { announce } from './announce';
import { Icon } from './icon';

interface Props {
  readonly label: string;
  readonly text: () => string;
  readonly testid: string;
  readonly icon?: 'copy' | 'link';
}

export function CopyButton({ label, text, testid, icon = 'copy' }: Props) {
  const [state, setState] = useState<'idle' | 'done' | 'failed'>('idle');
  useEffect(() => {
    if (state === 'idle') return undefined;
    const timer = setTimeout(() => setState('idle'), 1_600);
    return () => clearTimeout(timer);
  }, [state]);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text());
      setState('done');
      announce('Copied.');
    } catch {
      setState('failed');
      announce('The browser does not let this page copy.');
    }
  };
  return (
    <button type="button" class="button is-small" data-testid={testid} data-state={state} onClick={() => void copy()}>
      <Icon name={icon} />
      <span class="swap">
        <span class={state === 'idle' ? '' : 'is-away'}>{label}</span>
        <span class={state === 'idle' ? 'is-away' : ''} aria-hidden={state === 'idle'}>
          {state === 'failed' ? 'Failed' : 'Copied'}
        </span>
      </span>
    </button>
  );
}
