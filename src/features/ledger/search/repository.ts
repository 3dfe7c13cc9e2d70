import type { Database } from '../../../adapters/postgres/database.ts';
import { PAGE_BYTES_MAX } from '../../../adapters/postgres/page-of-bytes.ts';
import type { Queryable } from '../../../adapters/postgres/query.ts';
import { AtlasError } from '../../../errors.ts';
import type { AgePosition } from '../age-cursor.ts';
import { ACCOUNT_FIELDS, type Fields, type Order, TRANSFER_FIELDS } from '../filter.ts';
import { conditionOf, Statement } from './compile.ts';
import type { Found, Search, SearchBounds } from './found.ts';
import type { IndexStep } from './indexing.ts';
import { cheapest, sourceOf, type Term, type TimeRange, termsOf, timesOf } from './sources.ts';

/**
 * Searches in PostgreSQL. An owner finds its accounts, and the transfers from and to them, whether organizations are
 * isolated or not; those that others have paid as if they had no metadata.
 */
export interface SearchRepository {
  /** Throws `search_not_ready` until the index has what was there before it, and `deadline_exceeded` after a second. */
  transfers(search: Search, signal?: AbortSignal): Promise<Found>;
  accounts(search: Search, signal?: AbortSignal): Promise<Found>;
  /** Takes the index one step further: see `sql/functions/index_next.sql`. */
  index(): Promise<IndexStep>;
}

/** A kind of items that can be searched: fixed texts of SQL. */
interface Searched {
  readonly fields: Fields;
  readonly terms: string;
  /** The column of `search_progress` that says whether all items have terms. */
  readonly isReady: string;
  /** The row `f` of a candidate `c` if its owner may see it, as it sees it. $1 is the owner. */
  readonly visible: string;
  /** Up to when all is indexed. */
  readonly asOf: string;
}

const ACCOUNTS: Searched = {
  fields: ACCOUNT_FIELDS,
  terms: 'account_terms',
  isReady: 'has_accounts',
  visible: 'SELECT * FROM accounts WHERE id = c.id AND owner = $1::text LIMIT 1',
  asOf: 'now()',
};

const TRANSFERS: Searched = {
  fields: TRANSFER_FIELDS,
  terms: 'transfer_terms',
  isReady: 'has_transfers AND has_accounts',
  // The accounts may have been given to somebody else since the terms were written.
  visible: `
    SELECT t.amount, t.ledger, t.reference, t.debit_account_id, t.credit_account_id, t.created_at,
      CASE WHEN payer.owner = $1::text THEN t.metadata ELSE '{}' END AS metadata
    FROM (SELECT * FROM transfers WHERE id = c.id LIMIT 1) t
    CROSS JOIN LATERAL (SELECT owner FROM accounts WHERE id = t.debit_account_id LIMIT 1) payer
    CROSS JOIN LATERAL (SELECT owner FROM accounts WHERE id = t.credit_account_id LIMIT 1) payee
    WHERE $1::text IN (payer.owner, payee.owner)`,
  // What is in neither the log nor the outbox is not posted yet. Each part is one probe of an index.
  asOf: `least(now(),
    (SELECT e.occurred_at FROM events e WHERE e.position = p.position + 1),
    (SELECT coalesce(o.posted_at, o.occurred_at, t.created_at) FROM (SELECT * FROM outbox ORDER BY id LIMIT 1) o
      LEFT JOIN transfers t ON t.id = o.transfer_id),
    (SELECT occurred_at FROM parked_events ORDER BY no LIMIT 1))`,
};

export const SEARCH_BOUNDS: SearchBounds = { examinedMax: 2000, entriesMax: 20_000, timeoutMs: 1000 };
// How many items under a term are counted to find the rarest one.
const COUNTED_MAX = 200;
// A step of the index takes some tens of milliseconds. A transfer has two events.
const INDEXED_EVENTS_MAX = 2000;
const INDEXED_ROWS_MAX = 1000;
const STEP_GROWTH = 3;
const RETRY_AFTER_SECONDS = 10;
// What a page has of an item besides its metadata.
const ITEM_BYTES = 500;
const WAYS: Readonly<Record<Order, readonly [way: string, back: string, beyond: string]>> = {
  'oldest first': ['ASC', 'DESC', '>'],
  'newest first': ['DESC', 'ASC', '<'],
};
const EVERYTHING: Term = { field: '', value: '' };

/** Where a search reads: hashes of terms, and how far the index is. */
interface Start {
  readonly terms: readonly string[];
  readonly asOf: string;
}

interface Match {
  readonly id: string;
  readonly createdMicros: number;
  readonly bytes: number;
}

/** What a step has examined. `last` is the last item of that. */
interface Step {
  readonly examined: number;
  readonly last: AgePosition | null;
  readonly matches: readonly Match[];
}

export function createSearchRepository(db: Database, bounds = SEARCH_BOUNDS): SearchRepository {
  const of = (searched: Searched) => (search: Search, signal?: AbortSignal) =>
    db.snapshot((tx) => find(tx, searched, search, bounds), {
      signal,
      statementTimeoutMs: bounds.timeoutMs,
    });
  return {
    transfers: of(TRANSFERS),
    accounts: of(ACCOUNTS),
    async index() {
      const [row] = await db.query(
        (sql) => sql<[IndexStep]>`SELECT * FROM index_next(${INDEXED_EVENTS_MAX}, ${INDEXED_ROWS_MAX})`,
      );
      return row;
    },
  };
}

async function find(tx: Queryable, searched: Searched, search: Search, bounds: SearchBounds): Promise<Found> {
  const { filter, limit } = search;
  const times = filter === null ? { fromMs: null, beforeMs: null } : timesOf(filter);
  const { terms, asOf } = await startOf(tx, searched, search, times);
  const rowsMax = Math.max(limit + 1, Math.floor(bounds.entriesMax / terms.length));
  const examinedMax = Math.min(bounds.examinedMax, rowsMax);
  const matches: Match[] = [];
  let examined = 0;
  let { after } = search;
  // Each step is larger, as few of the items match. If all match, the first one finds a page.
  for (
    let rows = Math.min(limit + 1, examinedMax);
    ;
    rows = Math.min(STEP_GROWTH * rows, examinedMax - examined)
  ) {
    const step = await examine(
      tx,
      searched,
      { ...search, after },
      terms,
      times,
      rows,
      limit + 1 - matches.length,
    );
    matches.push(...step.matches);
    examined += step.examined;
    after = step.last;
    if (matches.length > limit || step.examined < rows) return pageOf(matches, limit, null, examined, asOf);
    if (examined >= examinedMax) return pageOf(matches, limit, after, examined, asOf);
  }
}

/** Ends the page at its limit, or at its bytes; otherwise the next one starts after `last`. */
function pageOf(
  matches: readonly Match[],
  limit: number,
  last: AgePosition | null,
  examined: number,
  asOf: string,
): Found {
  let bytes = 0;
  let count = 0;
  for (const match of matches.slice(0, limit)) {
    bytes += match.bytes;
    if (count > 0 && bytes > PAGE_BYTES_MAX) break;
    count++;
  }
  const end = matches[count - 1];
  const next =
    count < matches.length && end ? { createdMicros: BigInt(end.createdMicros), id: end.id } : last;
  return { ids: matches.slice(0, count).map(({ id }) => id), next, examined, asOf };
}

/** Chooses the terms to read, and returns their hashes. */
async function startOf(tx: Queryable, searched: Searched, search: Search, times: TimeRange): Promise<Start> {
  const source = search.filter === null ? null : sourceOf(search.filter, searched.fields);
  const possible = [EVERYTHING, ...termsOf(source)];
  const statement = new Statement();
  const owner = statement.bind(search.owner, 'text');
  const fields = statement.bindTexts(possible.map(({ field }) => field));
  const values = statement.bindTexts(possible.map(({ value }) => value));
  const within = withinTimes(statement, 'x', times);
  const counted = `SELECT FROM ${searched.terms} x WHERE x.term = h.term${within} LIMIT ${COUNTED_MAX}`;
  const [row] = await send<{ isReady: boolean; asOf: Date; terms: string[]; items: number[] }>(
    tx,
    `SELECT ${searched.isReady} AS is_ready, ${searched.asOf} AS as_of, found.terms, found.items
     FROM search_progress p CROSS JOIN LATERAL (
       SELECT array_agg(h.term::text ORDER BY h.nth) AS terms,
         array_agg(CASE WHEN h.nth = 1 THEN 0 ELSE (SELECT count(*)::int FROM (${counted}) few) END
           ORDER BY h.nth) AS items
       FROM (SELECT nth, search_term(p.seed, ${owner}, field, value) AS term
         FROM unnest(${fields}, ${values}) WITH ORDINALITY given(field, value, nth)) h
     ) found`,
    statement,
  );
  if (!row!.isReady)
    throw new AtlasError('search_not_ready', 'The index of the search is being built.', {
      retryAfterSeconds: RETRY_AFTER_SECONDS,
    });
  const nth = new Map(possible.map((term, i) => [JSON.stringify(term), i]));
  const indexOf = ({ field, value }: Term) => nth.get(JSON.stringify({ field, value }))!;
  const chosen = cheapest(source, (term) => row!.items[indexOf(term)]!) ?? [EVERYTHING];
  return { terms: chosen.map((term) => row!.terms[indexOf(term)]!), asOf: row!.asOf.toISOString() };
}

/** Compares the next rows under the terms with the filter. */
async function examine(
  tx: Queryable,
  searched: Searched,
  search: Search,
  terms: readonly string[],
  times: TimeRange,
  rows: number,
  wanted: number,
): Promise<Step> {
  const statement = new Statement();
  statement.bind(search.owner, 'text');
  const [way, back, beyond] = WAYS[search.order];
  const after = search.after && positionOf(statement, search.after);
  const beyondAfter = after === null ? '' : ` AND (x.created_at, x.id) ${beyond} ${after}`;
  const filters = beyondAfter + withinTimes(statement, 'x', times);
  const condition = search.filter === null ? 'true' : conditionOf(search.filter, searched.fields, statement);
  const hashes = statement.bind(`{${terms.join()}}`, 'bigint[]');
  const order = (of: string) => `ORDER BY ${of}.created_at ${way}, ${of}.id ${way}`;
  const micros = (of: string) => `(extract(epoch FROM ${of}.created_at) * 1000000)::bigint`;
  // Each row is found by its ID: LIMIT 1 keeps the planner from reading whole tables instead.
  const [row] = await send<{
    examined: number;
    lastMicros: number | null;
    lastId: string | null;
    matches: Match[] | null;
  }>(
    tx,
    `WITH candidates AS MATERIALIZED (
       SELECT DISTINCT s.created_at, s.id FROM unnest(${hashes}) AS given(term) CROSS JOIN LATERAL (
         SELECT x.created_at, x.id FROM ${searched.terms} x WHERE x.term = given.term${filters}
         ${order('x')} LIMIT ${rows}
       ) s ${order('s')} LIMIT ${rows}
     ), matched AS MATERIALIZED (
       SELECT c.created_at, c.id, ${ITEM_BYTES} + octet_length(f.metadata::text) AS bytes
       FROM candidates c CROSS JOIN LATERAL (${searched.visible}) f WHERE ${condition} ${order('c')} LIMIT ${wanted}
     ), last AS (SELECT * FROM candidates c ORDER BY c.created_at ${back}, c.id ${back} LIMIT 1)
     SELECT (SELECT count(*)::int FROM candidates) AS examined, (SELECT ${micros('l')} FROM last l) AS last_micros,
       (SELECT id FROM last) AS last_id, (SELECT json_agg(json_build_object('id', m.id, 'createdMicros', ${micros('m')},
         'bytes', m.bytes) ${order('m')}) FROM matched m) AS matches`,
    statement,
  );
  const { examined, lastMicros, lastId, matches } = row!;
  const last = lastId === null ? null : { createdMicros: BigInt(lastMicros!), id: lastId };
  return { examined, last, matches: matches ?? [] };
}

function withinTimes(statement: Statement, of: string, { fromMs, beforeMs }: TimeRange): string {
  const from = fromMs === null ? '' : ` AND ${of}.created_at >= ${statement.bindMs(fromMs)}`;
  return beforeMs === null ? from : `${from} AND ${of}.created_at < ${statement.bindMs(beforeMs)}`;
}

function positionOf(statement: Statement, { createdMicros, id }: AgePosition): string {
  const micros = statement.bind(String(createdMicros), 'bigint');
  return `('epoch'::timestamptz + ${micros} * interval '1 microsecond', ${statement.bind(id, 'uuid')})`;
}

/** The text depends on the filter, so it is not prepared: a connection would keep every one. */
function send<R extends object>(tx: Queryable, text: string, { parameters }: Statement): Promise<R[]> {
  return tx.query((sql) => sql.unsafe<R[]>(text, parameters, { prepare: false })) as Promise<R[]>;
}
