/** Where a bucket is: what may be remembered and stand in a link. Credentials are no part of it. */

export interface Connection {
  /** The store's URL, as `URL` writes it; AWS's own in the region where it is empty. */
  readonly endpoint: string;
  readonly bucket: string;
  readonly region: string;
  /** What all object names begin with: empty, or ending in a slash. */
  readonly prefix: string;
  readonly pathStyle: boolean;
}

/** The form's fields before they are checked. */
export interface ConnectionDraft {
  readonly endpoint?: string | undefined;
  readonly bucket?: string | undefined;
  readonly region?: string | undefined;
  readonly prefix?: string | undefined;
  readonly pathStyle?: boolean | undefined;
}

export type ConnectionField = 'endpoint' | 'bucket' | 'region' | 'prefix';
export type Checked<T> = { readonly value: T } | { readonly field: ConnectionField; readonly problem: string };

export const DEFAULT_REGION = 'us-east-1';
const LONGEST = 1_024;

/** Checks what was typed, linked or stored; says of the first field that is wrong what to do. */
export function checkConnection(draft: ConnectionDraft): Checked<Connection> {
  const bucket = (draft.bucket ?? '').trim();
  const region = (draft.region ?? '').trim() || DEFAULT_REGION;
  const prefix = normalPrefix((draft.prefix ?? '').trim());
  const typed = (draft.endpoint ?? '').trim();
  if (bucket === '') return { field: 'bucket', problem: 'Name the bucket.' };
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$/.test(bucket)) {
    return { field: 'bucket', problem: 'A bucket name has letters, digits, dots and hyphens only.' };
  }
  if (!/^[A-Za-z0-9-]{1,64}$/.test(region)) return { field: 'region', problem: 'A region looks like eu-central-1.' };
  if (prefix === undefined) {
    return { field: 'prefix', problem: 'A prefix has parts of A-Z a-z 0-9 - _ . with a slash between.' };
  }
  if (typed === '') return { value: { endpoint: '', bucket, region, prefix, pathStyle: draft.pathStyle === true } };
  const url = endpointUrl(typed);
  if (!url) return { field: 'endpoint', problem: 'Write the endpoint like https://s3.example.com.' };
  if (url.username !== '' || url.password !== '') {
    return { field: 'endpoint', problem: 'No user name or password in the endpoint: they would end up in links.' };
  }
  if (url.search !== '' || url.hash !== '') {
    return { field: 'endpoint', problem: 'The endpoint ends before ? and #.' };
  }
  return { value: { endpoint: url.href, bucket, region, prefix, pathStyle: draft.pathStyle === true } };
}

function endpointUrl(typed: string): URL | undefined {
  if (typed.length > LONGEST) return undefined;
  try {
    const url = new URL(/^[a-z][a-z0-9+.-]*:\/\//i.test(typed) ? typed : `https://${typed}`);
    return url.protocol === 'https:' || url.protocol === 'http:' ? url : undefined;
  } catch {
    return undefined;
  }
}

function normalPrefix(typed: string): string | undefined {
  if (typed === '') return '';
  const prefix = typed.endsWith('/') ? typed : `${typed}/`;
  if (prefix.length > LONGEST) return undefined;
  const parts = prefix.slice(0, -1).split('/');
  return parts.every((part) => /^[A-Za-z0-9._-]+$/.test(part) && part !== '.' && part !== '..') ? prefix : undefined;
}

export function sameConnection(one: Connection, other: Connection): boolean {
  return identity(one) === identity(other);
}

/** Equal for equal connections. */
export function identity({ endpoint, bucket, region, prefix, pathStyle }: Connection): string {
  return JSON.stringify([endpoint, bucket, region, prefix, pathStyle]);
}

/** The host, for people. */
export function hostOf({ endpoint, region }: Connection): string {
  return endpoint === '' ? `s3.${region}.amazonaws.com` : new URL(endpoint).host;
}

/** The rule that a bucket needs for a page of this origin. */
export function corsRule(origin: string): string {
  const rule = {
    AllowedOrigins: [origin],
    AllowedMethods: ['GET'],
    AllowedHeaders: ['range'],
    ExposeHeaders: ['ETag', 'Content-Range'],
    MaxAgeSeconds: 3_600,
  };
  return JSON.stringify([rule], null, 2);
}
