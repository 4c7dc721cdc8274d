/** What went wrong, and how to go on. */

import { useEffect, useRef } from 'preact/hooks';
import { type ErrorCode, KlstoreError } from 'klstore';

import { CorsHelp } from '../connect/cors';
import { askForKeys, session } from '../connect/session';
import { go } from '../permalink/navigation';
import { Icon } from './icon';

const TITLES: Partial<Record<ErrorCode, string>> = {
  AccessDenied: 'Access denied',
  BucketNotFound: 'No such bucket',
  ClockSkew: 'The clocks differ',
  Configuration: 'This connection cannot work',
  Contended: 'The list keeps changing',
  Corrupt: 'An object is damaged',
  Credentials: 'The credentials were refused',
  CrossOrigin: 'The bucket does not let this page read it',
  HiddenEtag: 'The bucket hides a header from this page',
  KeyspaceNotFound: 'No such keyspace',
  Unavailable: 'The store does not answer',
  UnsupportedLayout: 'Written by a newer release',
  UnsupportedVersion: 'Written by a newer release',
  WrongRegion: 'The bucket is in another region',
};

export function codeOf(error: unknown): ErrorCode | undefined {
  return error instanceof KlstoreError ? error.code : undefined;
}

/** Whether other credentials may help. */
export function wantsKeys(error: unknown): boolean {
  const code = codeOf(error);
  return code === 'Credentials' || code === 'AccessDenied';
}

export function titleOf(error: unknown): string {
  const code = codeOf(error);
  return (code && TITLES[code]) ?? 'Something went wrong';
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

interface Props {
  readonly error: unknown;
  readonly retry?: (() => void) | undefined;
  /** In a form there is no way back to the form. */
  readonly inForm?: boolean;
}

export function Failure({ error, retry, inForm = false }: Props) {
  const code = codeOf(error);
  const root = useRef<HTMLDivElement>(null);
  useEffect(() => root.current?.scrollIntoView({ block: 'nearest' }), [error]);
  const asksForKeys = wantsKeys(error);
  return (
    <div ref={root} class="failure" role="alert" data-testid="failure" data-state="error" data-code={code ?? 'Unknown'}>
      <div class="failure-sign">
        <Icon name="warning" />
      </div>
      <div class="failure-text">
        <h2>{titleOf(error)}</h2>
        {code !== 'CrossOrigin' && <p data-testid="failure-message">{messageOf(error)}</p>}
        {(code === 'CrossOrigin' || code === 'HiddenEtag') && <CorsHelp />}
        <div class="failure-actions">
          {retry && (
            <button type="button" class="button" data-testid="retry" onClick={retry}>
              Try again
            </button>
          )}
          {!inForm && asksForKeys && (
            <button type="button" class="button" data-testid="other-keys" onClick={askForKeys}>
              {session()?.signed ? 'Enter new credentials' : 'Enter credentials'}
            </button>
          )}
          {!inForm && !asksForKeys && code !== 'Corrupt' && code !== 'Contended' && (
            <button
              type="button"
              class="button is-quiet"
              data-testid="edit-connection"
              onClick={() => (askForKeys(), go({ view: 'connect' }))}
            >
              Edit the connection
            </button>
          )}
        </div>
      </div>
    </div>
  );
}
