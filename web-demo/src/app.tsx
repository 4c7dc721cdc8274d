/** The page's frame: where one is, what it took, and how one likes to see it. */

import { useState } from 'preact/hooks';

import { KeysView } from './browse/keys';
import { KeyspacesView } from './browse/keyspaces';
import { hostOf } from './connect/connection';
import { type Session, phase } from './connect/session';
import { ListView } from './list/view';
import { arrivals, hrefOf, place } from './permalink/navigation';
import type { Place } from './permalink/permalink';
import { type Theme, theme, zone } from './preferences/preferences';
import { isPanelOpen, RequestMeter } from './requests/meter';
import { Announcer } from './ui/announce';
import { Boundary } from './ui/boundary';
import { Failure } from './ui/failure';
import { Icon, type IconName } from './ui/icon';
import { later } from './ui/later';
import { useShortcuts } from './ui/shortcuts';

const ConnectForm = later(async () => (await import('./connect/form')).ConnectForm);
const LinkQuestion = later(async () => (await import('./connect/question')).LinkQuestion);
const HelpDialog = later(async () => (await import('./help/dialog')).HelpDialog);
const RequestPanel = later(async () => (await import('./requests/panel')).RequestPanel);

const THEMES: readonly Theme[] = ['system', 'light', 'dark'];
const THEME_ICONS: Record<Theme, IconName> = { system: 'system', light: 'sun', dark: 'moon' };

const nextTheme = () => (theme.value = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length]!);
const otherZone = () => (zone.value = zone.value === 'utc' ? 'local' : 'utc');

export function App() {
  const [isHelping, setHelping] = useState(false);
  useShortcuts({
    '?': () => setHelping(true),
    r: () => (isPanelOpen.value = !isPanelOpen.value),
    z: otherZone,
    d: nextTheme,
  });
  const now = phase.value;
  return (
    <div class="app">
      <header class="bar">
        <a class="brand" href="#/k" aria-label="klstore: the keyspaces">
          <span class="brand-sign" aria-hidden="true" />
          klstore
        </a>
        <Crumbs session={now.kind === 'open' ? now.session : undefined} />
        <span class="toolbar-gap" />
        <RequestMeter />
        <button
          type="button"
          class="button is-quiet is-small zone"
          data-testid="zone"
          aria-label={`Times in ${zone.value === 'utc' ? 'UTC' : 'local time'}: change`}
          onClick={otherZone}
        >
          {zone.value === 'utc' ? 'UTC' : 'Local'}
        </button>
        <button
          type="button"
          class="button is-quiet is-icon"
          data-testid="theme"
          data-theme-choice={theme.value}
          aria-label={`Colours: ${theme.value}; change`}
          title={`Colours: ${theme.value}`}
          onClick={nextTheme}
        >
          <Icon name={THEME_ICONS[theme.value]} />
        </button>
        <button
          type="button"
          class="button is-quiet is-icon wide-only"
          data-testid="help-open"
          aria-label="Keyboard help"
          title="Keyboard help"
          onClick={() => setHelping(true)}
        >
          <Icon name="help" />
        </button>
      </header>
      <div class="view">
        {now.kind === 'starting' && (
          <div class="starting" data-testid="starting" data-state="loading" role="status" aria-label="Loading" />
        )}
        {now.kind === 'broken' && (
          <main class="page">
            <Failure error={now.error} retry={() => location.reload()} />
          </main>
        )}
        {now.kind === 'connect' && (
          <ConnectForm key={JSON.stringify(now.draft ?? null)} draft={now.draft} signed={now.signed} next={now.next} />
        )}
        {now.kind === 'question' && <LinkQuestion link={now.link} />}
        {now.kind === 'open' && (
          <Boundary key={arrivals.value}>
            <PlaceView session={now.session} where={place.value} arrival={arrivals.value} />
          </Boundary>
        )}
      </div>
      <Boundary>
        {isPanelOpen.value && <RequestPanel />}
        {isHelping && <HelpDialog onClose={() => setHelping(false)} />}
      </Boundary>
      <Announcer />
    </div>
  );
}

function PlaceView({
  session,
  where,
  arrival,
}: {
  readonly session: Session;
  readonly where: Place;
  readonly arrival: number;
}) {
  switch (where.view) {
    case 'keys':
      return (
        <KeysView
          key={`${arrival} ${where.keyspace}`}
          session={session}
          keyspace={where.keyspace}
          search={where.search}
        />
      );
    case 'list':
      return (
        <ListView
          key={`${arrival} ${where.keyspace}/${where.key}`}
          session={session}
          keyspace={where.keyspace}
          listKey={where.key}
          state={where.state}
        />
      );
    default:
      return <KeyspacesView session={session} />;
  }
}

function Crumbs({ session }: { readonly session: Session | undefined }) {
  if (!session) return null;
  const { connection, signed } = session;
  const where = place.value;
  return (
    <nav class="crumbs" aria-label="Where you are">
      <ol>
        <li>
          <a
            href="#/connect"
            data-testid="crumb-connection"
            title={`${connection.bucket} at ${hostOf(connection)}${signed ? ', signed requests' : ''}`}
          >
            {connection.bucket}
          </a>
        </li>
        {(where.view === 'keys' || where.view === 'list') && (
          <>
            <li class="crumb-spaces">
              <a href={hrefOf({ view: 'keyspaces' })} data-testid="crumb-keyspaces">
                keyspaces
              </a>
            </li>
            <li>
              <a
                href={hrefOf({ view: 'keys', keyspace: where.keyspace, search: '' })}
                aria-current={where.view === 'keys' ? 'page' : undefined}
                data-testid="crumb-keyspace"
              >
                {where.keyspace}
              </a>
            </li>
          </>
        )}
        {where.view === 'list' && (
          <li class="crumb-key">
            <span aria-current="page">{where.key}</span>
          </li>
        )}
      </ol>
    </nav>
  );
}
