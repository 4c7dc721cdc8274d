/** A button that copies a text, and says so. */

import { useEffect, useState } from 'preact/hooks';

import { announce } from './announce';
import { Icon } from './icon';

interface Props {
  readonly label: string;
  readonly text: () => string;
  readonly testid: string;
  readonly icon?: 'copy' | 'link';
  /** What is copied, where the label is too short to say it. */
  readonly title?: string;
  /** Without its label where there is little room. */
  readonly isCompact?: boolean;
}

export function CopyButton({ label, text, testid, icon = 'copy', title, isCompact = false }: Props) {
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
    <button
      type="button"
      class="button is-small"
      aria-label={title}
      title={title}
      data-testid={testid}
      data-state={state}
      onClick={() => void copy()}
    >
      <Icon name={state === 'done' ? 'check' : state === 'failed' ? 'warning' : icon} />
      <span class={isCompact ? 'wide-only' : ''}>{label}</span>
    </button>
  );
}
