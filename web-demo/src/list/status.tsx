/** What is seen, what is under way, and what cannot be read. */

import { askForKeys } from '../connect/session';
import { formatCount } from '../preferences/format';
import { messageOf, titleOf, wantsKeys } from '../ui/failure';
import { Icon } from '../ui/icon';
import type { ListController } from './controller';

export function StatusBar({ list }: { readonly list: ListController }) {
  const { model, live } = list;
  const seen = list.seenOffsets.value;
  const failure = model.failure.value;
  const trouble = live.trouble.value;
  const isLoading = model.loads.value > 0;
  const problem = failure ?? trouble;
  return (
    <footer class="status" data-testid="status" data-state={problem ? 'error' : isLoading ? 'loading' : 'ready'}>
      <span
        class="status-where"
        data-testid="seen"
        data-first={seen ? String(seen.first) : ''}
        data-last={seen ? String(seen.last) : ''}
      >
        {seen ? (
          list.only.value ? (
            `${formatCount(list.finder.matches.value.length)} matches`
          ) : (
            <>
              Offsets <b>{String(seen.first)}</b> – <b>{String(seen.last)}</b>
            </>
          )
        ) : (
          ''
        )}
      </span>
      <span class="status-note" role="status" data-testid="notice">
        {problem ? (
          <span class="is-problem" data-testid="row-failure">
            <Icon name="warning" />
            <span class="status-problem" title={messageOf(problem)}>
              <b>{titleOf(problem)}.</b> {messageOf(problem)}
            </span>
            {failure !== undefined && (
              <button type="button" class="button is-small" data-testid="retry-rows" onClick={() => model.retry()}>
                Try again
              </button>
            )}
            {wantsKeys(problem) && (
              <button type="button" class="button is-small" data-testid="other-keys" onClick={askForKeys}>
                Enter credentials
              </button>
            )}
          </span>
        ) : (
          model.notice.value || list.said.value
        )}
      </span>
      <span class={`status-busy${isLoading ? ' is-on' : ''}`} aria-hidden="true" />
    </footer>
  );
}
