import type { Sql } from '../../src/adapters/postgres/postgres.ts';
import { definePart } from './part.ts';
import type { Rounds } from './plan.ts';
import { type BenchDatabase, startDatabase } from './support/database.ts';
import { inRepository, type Server, startServer } from './support/processes.ts';
import { progress } from './support/progress.ts';
import { alignedTable, count, decimal, median } from './support/statistics.ts';
import { atMost, type Target } from './targets.ts';

const ACCOUNTS = 10_000;
// Of the owner who searches; as many belong to others.
const OWN_ACCOUNTS = ACCOUNTS / 2;
const CALLERS = 2;
const P99_MS_MAX = 50;
const LIMIT = 50;
const STEP_ROWS = 10_000;

/** A body of `POST /v1/transfers/search`, from any number. */
type Query = (n: number) => object;

const both = (...and: object[]) => ({ filter: { and } });
const order = (n: number) => ({ field: 'metadata.order', eq: String(n) });
const QUERIES: Readonly<Record<string, Query>> = {
  'a rare value of metadata': (n) => ({ filter: order(n) }),
  'a value that half of them have': () => ({ filter: { contains: { metadata: { channel: 'web' } } } }),
  'a rare and a common value': (n) => both({ field: 'metadata.channel', eq: 'web' }, order(n)),
  'a reference': (n) => ({ filter: { field: 'reference', eq: `Invoice ${n}` } }),
  'an account, in a range of amounts': (n) =>
    both(
      { field: 'accountId', eq: accountId(1 + (n % OWN_ACCOUNTS)) },
      { field: 'amount', gte: 1000, lt: 50_000 },
    ),
  'any of 20 values': (n) => ({
    filter: { field: 'metadata.order', in: Array.from({ length: 20 }, (_, i) => String(n + i)) },
  }),
  'everything, newest first': () => ({}),
};
// Not driven by a value: a page ends after a number of transfers, wherever it is.
const SCANS: Readonly<Record<string, Query>> = {
  'an amount alone: one page': (n) => ({ filter: { field: 'amount', eq: 1 + (n % 99_999) } }),
};

/** One kind of search over all rounds. */
interface SearchSeries {
  readonly name: string;
  readonly isIndexed: boolean;
  readonly requests: number;
  readonly p50Ms: number;
  /** Of all rounds together. */
  readonly p99Ms: number;
  readonly found: number;
}

interface SearchResult {
  readonly transfers: number;
  readonly terms: number;
  readonly termsMebibytes: number;
  readonly indexedPerSecond: number;
  readonly series: readonly SearchSeries[];
}

const accountId = (n: number) =>
  new Bun.CryptoHasher('md5')
    .update(`a${n}`)
    .digest('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');

async function benchSearch({
  rounds,
  seconds,
  transfers,
}: Rounds & { transfers: number }): Promise<SearchResult> {
  const database = await startDatabase();
  progress(`search: writing ${count(transfers)} transfers`);
  await fill(database.sql, transfers);
  const indexedPerSecond = await index(database.sql);
  await database.sql`VACUUM (ANALYZE) transfers, accounts, transfer_terms`;
  const [size] = await database.sql<[{ terms: number; bytes: number }]>`
    SELECT (SELECT count(*) FROM transfer_terms) AS terms, pg_total_relation_size('transfer_terms') AS bytes`;
  const env = { ENVIRONMENT: 'production', DATABASE_URL: database.url, API_PORT: '0', API_WORKERS: '1' };
  const atlas = await startServer([process.execPath, inRepository('src/main.ts'), 'serve'], { env });
  const seen = new Map<string, { times: number[]; found: number }>();
  const all = { ...QUERIES, ...SCANS };
  for (let round = -1; round < rounds; round++) {
    for (const [name, query] of Object.entries(all)) {
      const run = await load(database, atlas, query, seconds, transfers);
      // The first round warms up.
      if (round < 0) continue;
      const before = seen.get(name) ?? { times: [], found: 0 };
      seen.set(name, { times: [...before.times, ...run.times], found: before.found + run.found });
    }
    progress(`search: round ${round + 1}/${rounds}`);
  }
  await atlas.stop();
  const series = [...seen].map(([name, { times, found }]): SearchSeries => {
    const sorted = times.toSorted((a, b) => a - b);
    return {
      name,
      isIndexed: name in QUERIES,
      requests: times.length,
      p50Ms: median(times),
      p99Ms: sorted[Math.floor(sorted.length * 0.99)]!,
      found: found / times.length,
    };
  });
  const termsMebibytes = size.bytes / 2 ** 20;
  return { transfers, terms: size.terms, termsMebibytes, indexedPerSecond, series };
}

/** Writes accounts of two owners, and transfers within each, as posting would have. */
async function fill(sql: Sql, transfers: number): Promise<void> {
  await sql`
    INSERT INTO accounts (id, owner, ledger, allow_negative, metadata)
    SELECT md5('a' || n)::uuid, CASE WHEN n <= ${OWN_ACCOUNTS} THEN 'owner' ELSE 'other' END, 'EUR', true, '{}'
    FROM generate_series(1, ${ACCOUNTS}) n`;
  for (let from = 1; from <= transfers; from += STEP_ROWS)
    await sql`
      INSERT INTO transfers (id, debit_account_id, debit_version, credit_account_id, credit_version, ledger, amount,
        reference, metadata, created_at)
      SELECT md5('t' || n)::uuid, md5('a' || (1 + n % ${OWN_ACCOUNTS}))::uuid, n,
        md5('a' || (1 + (n + 1 + n / ${OWN_ACCOUNTS}) % ${OWN_ACCOUNTS}))::uuid, n, 'EUR', 1 + (n::bigint * 7919) % 99999,
        'Invoice ' || n, jsonb_build_object('order', n::text, 'channel', CASE n % 2 WHEN 0 THEN 'web' ELSE 'pos' END),
        now() - (${transfers} - n) * interval '1 second'
      FROM generate_series(${from}::int, ${Math.min(from + STEP_ROWS - 1, transfers)}::int) n
      WHERE (n + 1 + n / ${OWN_ACCOUNTS}) % ${OWN_ACCOUNTS} <> n % ${OWN_ACCOUNTS}`;
}

/** Fills the index as after an upgrade. Returns transfers per second. */
async function index(sql: Sql): Promise<number> {
  progress('search: filling the index');
  await sql`UPDATE search_progress SET has_transfers = false`;
  const startMs = performance.now();
  let indexed = 0;
  for (let hasMore = true; hasMore; ) {
    const [step] = await sql<[{ indexed: number; hasMore: boolean }]>`SELECT * FROM index_next(2000, 1000)`;
    indexed += step.indexed;
    hasMore = step.hasMore;
  }
  return indexed / ((performance.now() - startMs) / 1000);
}

/** Sends searches, a few at a time, and returns how long each took, and how many transfers they found. */
async function load(
  { apiKey }: BenchDatabase,
  { url }: Server,
  query: Query,
  seconds: number,
  transfers: number,
): Promise<{ times: number[]; found: number }> {
  const headers = { Authorization: `Bearer ${apiKey}`, 'Content-Type': 'application/json' };
  const times: number[] = [];
  let found = 0;
  const endMs = performance.now() + seconds * 1000;
  const caller = async (): Promise<void> => {
    while (performance.now() < endMs) {
      const body = JSON.stringify(query(1 + Math.floor(Math.random() * (transfers - 100))));
      const startMs = performance.now();
      const response = await fetch(`${url}/v1/transfers/search?limit=${LIMIT}`, {
        method: 'POST',
        headers,
        body,
      });
      const page = (await response.json()) as { transfers: object[] };
      times.push(performance.now() - startMs);
      if (response.status !== 200) throw new Error(`${response.status} ${JSON.stringify(page)}`);
      found += page.transfers.length;
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
  return { times, found };
}

const NOTE = `One organization has all transfers, each with a reference and two entries of metadata. ${CALLERS} callers in a closed loop search
over HTTP for ${LIMIT} at a time, with random values; the client shares both cores with Atlas and PostgreSQL. The index is filled as after an
upgrade. What has no index ends its page after a number of transfers, and goes on with a cursor.`;

function searchTables({
  transfers,
  terms,
  termsMebibytes,
  indexedPerSecond,
  series,
}: SearchResult): string[] {
  const rows = series.map(({ name, requests, p50Ms, p99Ms, found }) => [
    name,
    count(requests),
    decimal(found),
    decimal(p50Ms),
    decimal(p99Ms),
  ]);
  const facts = [
    ['transfers', count(transfers)],
    ['terms in the index', count(terms)],
    ['its size, MiB', count(termsMebibytes)],
    ['filled, transfers/s', count(indexedPerSecond)],
  ];
  return [
    alignedTable(['search', 'requests', 'found', 'P50 ms', 'P99 ms'], rows),
    alignedTable(['index', ''], facts),
  ];
}

function searchTargets({ series }: SearchResult): Target[] {
  const indexed = series.filter(({ isIndexed }) => isIndexed).map(({ p99Ms }) => p99Ms);
  return [
    atMost('search with an indexed predicate, slowest kind, P99', Math.max(...indexed), P99_MS_MAX, 'ms', 1),
  ];
}

/** How long searches take among many transfers. */
export const search = definePart({
  title: 'Search',
  note: NOTE,
  measure: ({ plan }) => benchSearch(plan.search),
  tables: searchTables,
  targets: searchTargets,
});
