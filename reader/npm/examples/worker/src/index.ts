// Serves lists as JSON:
//
//   GET /flights/N14228?order=backwards&max=20     the newest twenty items, and a link to the next page
//   GET /flights/N14228?since=2013-06-01           from that day on
//
// npm run dev, or npm run deploy; wrangler.toml says where the lists are.

import { type Item, KlstoreError, open, type OpenOptions, type PageOptions } from 'klstore';

import { r2Source } from './r2-source';

interface Env {
  readonly BUCKET?: R2Bucket;
  readonly S3_BUCKET?: string;
  readonly S3_REGION?: string;
  readonly S3_ENDPOINT?: string;
  readonly AWS_ACCESS_KEY_ID?: string;
  readonly AWS_SECRET_ACCESS_KEY?: string;
}

const MOST_ITEMS = 500;
const STATUS: Record<string, number> = {
  KeyspaceNotFound: 404,
  InvalidArgument: 400,
  InvalidContinuation: 400,
  Contended: 503,
  Unavailable: 503,
};

export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    const names = url.pathname.slice(1).split('/').map(decodeURIComponent);
    const [keyspace, key] = names;
    if (request.method !== 'GET') return new Response('only GET', { status: 405, headers: { allow: 'GET' } });
    if (!keyspace || !key || names.length !== 2) return new Response('ask for /KEYSPACE/KEY', { status: 404 });
    // One for each request: the module is compiled once, and nothing is shared between requests.
    const store = await open(optionsOf(env));
    try {
      const page = await store.readPage(keyspace, key, pageOptions(url.searchParams, request.signal));
      return Response.json({ items: page.items.map(jsonOf), next: page.continuation && linkTo(url, page.continuation) });
    } catch (error) {
      if (!(error instanceof KlstoreError)) throw error;
      return Response.json({ code: error.code, message: error.message }, { status: STATUS[error.code] ?? 500 });
    } finally {
      store.close();
    }
  },
} satisfies ExportedHandler<Env>;

function optionsOf(env: Env): OpenOptions {
  if (env.BUCKET) return { source: r2Source(env.BUCKET) };
  const { S3_BUCKET: bucket = '', S3_REGION: region, S3_ENDPOINT: endpoint } = env;
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = env;
  const credentials = accessKeyId && secretAccessKey ? { accessKeyId, secretAccessKey } : undefined;
  return { bucket, region, endpoint, credentials };
}

function pageOptions(query: URLSearchParams, signal: AbortSignal): PageOptions {
  const since = query.get('since');
  return {
    order: query.get('order') === 'backwards' ? 'backwards' : 'forwards',
    maxItems: Math.min(Math.max(Number(query.get('max')) || 20, 1), MOST_ITEMS),
    startTimestamp: since === null ? undefined : new Date(since),
    continuation: query.get('continuation') ?? undefined,
    signal,
  };
}

/** Offsets are BigInt, which JSON has none of: as text nothing of them is lost. */
function jsonOf(item: Item) {
  return { offset: String(item.offset), time: item.date, value: valueOf(item) };
}

function valueOf(item: Item): unknown {
  try {
    return item.json();
  } catch {
    return item.text();
  }
}

function linkTo(url: URL, continuation: string): string {
  const next = new URL(url);
  next.searchParams.set('continuation', continuation);
  return next.pathname + next.search;
}
