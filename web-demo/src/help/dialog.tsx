/** What the keys do. */

import { Dialog } from '../ui/dialog';

const GROUPS: readonly { readonly title: string; readonly keys: readonly (readonly [string, string])[] }[] = [
  {
    title: 'Everywhere',
    keys: [
      ['?', 'This help'],
      ['r', 'Requests and what they cost'],
      ['z', 'UTC or local time'],
      ['d', 'Dark, light, or as the system'],
      ['Esc', 'Close, or one level up'],
    ],
  },
  {
    title: 'Rows',
    keys: [
      ['↑ ↓ or k j', 'Row by row'],
      ['Page Up / Down', 'Page by page'],
      ['Home / End', 'The first or last row'],
      ['Enter', 'Open it'],
      ['l', 'To the rows'],
    ],
  },
  {
    title: 'A list',
    keys: [
      ['g', 'Jump to an offset, time or nonce'],
      ['/', 'Find; n and N for the next and previous match'],
      ['o', 'Newest or oldest first'],
      ['f', 'Follow'],
      ['p', 'Pause following, or go on'],
      ['h', 'To where new items come in'],
      ['e', 'Export'],
      ['t', 'To the time line'],
    ],
  },
  {
    title: 'The time line',
    keys: [
      ['← →', 'Move the cursor; with Shift select'],
      ['Enter', 'Jump there'],
      ['+ −', 'Zoom in and out'],
      ['0', 'The whole list'],
    ],
  },
];

export function HelpDialog({ onClose }: { readonly onClose: () => void }) {
  return (
    <Dialog title="Keyboard" testid="help" onClose={onClose}>
      <div class="help">
        {GROUPS.map(({ title, keys }) => (
          <section key={title}>
            <h3 class="overline">{title}</h3>
            <dl>
              {keys.map(([key, what]) => (
                <div key={key}>
                  <dt>
                    <kbd>{key}</kbd>
                  </dt>
                  <dd>{what}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  );
}
