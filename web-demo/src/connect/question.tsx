/** A link names a bucket that this page is not connected to: nothing is asked of it before the user says so. */

import type { Link } from '../permalink/permalink';
import { type Connection, hostOf } from './connection';
import { openWithoutKeys, phase, resume } from './session';

import '../styles/connect.css';

interface Props {
  readonly link: Link & { readonly connection: Connection };
}

export function LinkQuestion({ link }: Props) {
  const { connection, place } = link;
  return (
    <main class="question" data-testid="link-question">
      <div class="panel question-panel">
        <h1>Open another bucket?</h1>
        <p class="lead">The link that you followed wants this page to read from:</p>
        <dl class="facts">
          <dt>Bucket</dt>
          <dd data-testid="question-bucket">{connection.bucket}</dd>
          <dt>At</dt>
          <dd data-testid="question-endpoint">
            {connection.endpoint === '' ? hostOf(connection) : connection.endpoint}
          </dd>
          {connection.prefix !== '' && (
            <>
              <dt>Prefix</dt>
              <dd>{connection.prefix}</dd>
            </>
          )}
        </dl>
        <p>Your credentials of other connections are not used for it.</p>
        <div class="failure-actions">
          <button
            type="button"
            class="button is-main"
            data-testid="question-open"
            onClick={() => void openWithoutKeys(connection, place)}
          >
            Open without credentials
          </button>
          <button
            type="button"
            class="button"
            data-testid="question-keys"
            onClick={() => (phase.value = { kind: 'connect', draft: connection, signed: true, next: place })}
          >
            Enter credentials for it …
          </button>
          <button type="button" class="button is-quiet" data-testid="question-leave" onClick={() => resume()}>
            Do not open it
          </button>
        </div>
      </div>
    </main>
  );
}
