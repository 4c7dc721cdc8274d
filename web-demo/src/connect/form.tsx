/** Where to connect to. Keys stay in memory: they are in no storage, no link and no log. */

import { useRef, useState } from 'preact/hooks';
import type { Credentials } from 'klstore';

import type { Place } from '../permalink/permalink';
import { Failure } from '../ui/failure';
import { Icon } from '../ui/icon';
import { checkConnection, type Connection, type ConnectionField, DEFAULT_REGION, hostOf } from './connection';
import { CorsHelp } from './cors';
import { forget, type Remembered, remembered } from './remembered';
import { canResume, connect, home, openWithoutKeys, resume } from './session';

import '../styles/connect.css';

interface Props {
  readonly draft: Connection | undefined;
  readonly signed: boolean;
  readonly next: Place | undefined;
}

interface Fields {
  readonly endpoint: string;
  readonly bucket: string;
  readonly region: string;
  readonly prefix: string;
  readonly pathStyle: boolean;
}

const fieldsOf = (draft: Connection | undefined): Fields => ({
  endpoint: draft?.endpoint ?? '',
  bucket: draft?.bucket ?? '',
  region: draft?.region ?? '',
  prefix: draft?.prefix ?? '',
  pathStyle: draft?.pathStyle ?? false,
});

export function ConnectForm({ draft, signed, next }: Props) {
  const [fields, setFields] = useState(fieldsOf(draft));
  const [usesKeys, setUsesKeys] = useState(signed);
  const [problem, setProblem] = useState<{ readonly field: ConnectionField | 'keys'; readonly problem: string }>();
  const [error, setError] = useState<unknown>();
  const [isBusy, setBusy] = useState(false);
  const form = useRef<HTMLFormElement>(null);

  const take = (entry: Remembered) => {
    setFields(fieldsOf(entry.connection));
    setUsesKeys(!entry.anonymous);
    setProblem(undefined);
    setError(undefined);
    if (entry.anonymous) void submit(entry.connection, undefined);
    else form.current?.querySelector<HTMLInputElement>('[name=access-key]')?.focus();
  };

  const submit = async (connection: Connection, credentials: Credentials | undefined) => {
    setBusy(true);
    setError(undefined);
    try {
      await connect(connection, credentials, next);
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  };

  const onSubmit = (event: Event) => {
    event.preventDefault();
    const checked = checkConnection(fields);
    if (!('value' in checked)) {
      setProblem(checked);
      form.current?.querySelector<HTMLInputElement>(`[name=${checked.field}]`)?.focus();
      return;
    }
    const credentials = usesKeys ? keysOf(form.current!) : undefined;
    if (usesKeys && !credentials) {
      setProblem({ field: 'keys', problem: 'Both keys are needed, or none.' });
      return;
    }
    setProblem(undefined);
    void submit(checked.value, credentials);
  };

  const input = (name: ConnectionField, label: string, placeholder: string, hint: string) => {
    const isWrong = problem?.field === name;
    return (
      <label class="field">
        <span class="field-label">{label}</span>
        <input
          class="input"
          name={name}
          data-testid={`connect-${name}`}
          value={fields[name]}
          placeholder={placeholder}
          autocomplete="off"
          spellcheck={false}
          aria-invalid={isWrong}
          aria-describedby={`${name}-hint`}
          onInput={(event) => setFields({ ...fields, [name]: event.currentTarget.value })}
        />
        <span id={`${name}-hint`} class={`field-hint${isWrong ? ' is-wrong' : ''}`}>
          {isWrong ? problem.problem : hint}
        </span>
      </label>
    );
  };

  return (
    <main class="connect" data-testid="connect-view" data-state={isBusy ? 'loading' : error ? 'error' : 'ready'}>
      <div class="connect-lead">
        <h1>Look into your lists</h1>
        <p class="lead">
          This page reads klstore lists straight from a bucket. There is no server between: what you type stays in this
          tab.
        </p>
        <ul class="points">
          <li>Requests go from here to the bucket, as plain GETs. Nothing is ever written.</li>
          <li>A page takes two to five of them, however long its list is. You see each, and its price.</li>
          <li>Every view is a link. None holds a key.</li>
        </ul>
        {home.value && (
          <button
            type="button"
            class="button"
            data-testid="open-home"
            onClick={() => void openWithoutKeys(home.value!.connection)}
          >
            {home.value.title ?? `Open ${home.value.connection.bucket}`}
          </button>
        )}
        {remembered.value.length > 0 && (
          <section class="remembered" aria-labelledby="remembered">
            <h2 id="remembered" class="overline">
              Used before
            </h2>
            <ul>
              {remembered.value.map((entry) => (
                <li key={JSON.stringify(entry)} class="remembered-row">
                  <button type="button" class="remembered-open" data-testid="remembered" onClick={() => take(entry)}>
                    <strong>{entry.connection.bucket}</strong>
                    <span>
                      {hostOf(entry.connection)}
                      {entry.connection.prefix && ` / ${entry.connection.prefix}`}
                      {!entry.anonymous && ' · asks for credentials'}
                    </span>
                  </button>
                  <button
                    type="button"
                    class="button is-icon"
                    aria-label={`Forget ${entry.connection.bucket}`}
                    data-testid="forget"
                    onClick={() => forget(entry.connection)}
                  >
                    <Icon name="close" />
                  </button>
                </li>
              ))}
            </ul>
          </section>
        )}
        <details class="more">
          <summary>What the bucket must allow</summary>
          <CorsHelp />
        </details>
      </div>
      <form ref={form} class="connect-form panel" data-testid="connect-form" onSubmit={onSubmit} noValidate>
        {input('bucket', 'Bucket', 'my-bucket', 'The bucket that the lists are in.')}
        {input('endpoint', 'Endpoint', 'https://s3.example.com', "The store's URL. Leave it empty for AWS.")}
        <div class="field-pair">
          {input('region', 'Region', DEFAULT_REGION, 'Of the bucket.')}
          {input('prefix', 'Prefix', 'team/lists/', 'Before all names; mostly none.')}
        </div>
        <label class="check">
          <input
            type="checkbox"
            data-testid="connect-path-style"
            checked={fields.pathStyle}
            onChange={(event) => setFields({ ...fields, pathStyle: event.currentTarget.checked })}
          />
          <span>The bucket's name stands in the path (path style)</span>
        </label>
        <fieldset class="keys-choice">
          <legend class="field-label">Credentials</legend>
          <div class="segments" role="radiogroup" aria-label="Credentials">
            <label class={`segment${usesKeys ? '' : ' is-on'}`}>
              <input
                type="radio"
                name="keys"
                checked={!usesKeys}
                data-testid="keys-none"
                onChange={() => setUsesKeys(false)}
              />
              None: public bucket
            </label>
            <label class={`segment${usesKeys ? ' is-on' : ''}`}>
              <input
                type="radio"
                name="keys"
                checked={usesKeys}
                data-testid="keys-typed"
                onChange={() => setUsesKeys(true)}
              />
              Access key
            </label>
          </div>
          {usesKeys && (
            <div class="keys-fields">
              <Secret name="access-key" label="Access key id" hidden={false} />
              <Secret name="secret-key" label="Secret access key" />
              <Secret name="session-token" label="Session token, of temporary keys" />
              <p class={`field-hint${problem?.field === 'keys' ? ' is-wrong' : ''}`}>
                {problem?.field === 'keys'
                  ? problem.problem
                  : 'Kept in memory until you close the tab. Requests are signed here; the keys are never sent.'}
              </p>
            </div>
          )}
        </fieldset>
        {error !== undefined && <Failure error={error} inForm />}
        <button type="submit" class="button is-main" data-testid="connect-submit" disabled={isBusy}>
          {isBusy ? 'Connecting …' : 'Connect'}
        </button>
        {canResume() && (
          <button type="button" class="button is-quiet" data-testid="connect-cancel" onClick={() => resume(next)}>
            Back to what was open
          </button>
        )}
      </form>
    </main>
  );
}

interface SecretProps {
  readonly name: string;
  readonly label: string;
  readonly hidden?: boolean;
}

function Secret({ name, label, hidden = true }: SecretProps) {
  const common = { class: 'input', name, 'data-testid': `connect-${name}`, autocomplete: 'off', spellcheck: false };
  return (
    <label class="field">
      <span class="field-label">{label}</span>
      {hidden ? <input {...common} type="password" /> : <input {...common} type="text" />}
    </label>
  );
}

/** Read from the form when it is sent: the keys are in no state of the page. */
function keysOf(form: HTMLFormElement): Credentials | undefined {
  const data = new FormData(form);
  const text = (name: string) => String(data.get(name) ?? '').trim();
  const [accessKeyId, secretAccessKey, sessionToken] = [text('access-key'), text('secret-key'), text('session-token')];
  if (accessKeyId === '' || secretAccessKey === '') return undefined;
  return { accessKeyId, secretAccessKey, sessionToken: sessionToken === '' ? undefined : sessionToken };
}
