import type { Database, SnapshotOptions } from '../../../adapters/postgres/database.ts';
import { isolates } from '../../../adapters/postgres/isolation.ts';
import type { Fragment, FragmentTag } from '../../../adapters/postgres/query.ts';
import {
  type FlowRow,
  type NeighborPage,
  type NeighborSearch,
  type Path,
  type Search,
  startOf,
  toFlow,
  type WaySearch,
} from './domain.ts';

/** The newest transfers of an account that its neighbors are computed from. */
export const NEIGHBOR_TRANSFERS_MAX = 10_000;
/** The newest transfers of one account that a search for ways reads, in one direction. */
export const ACCOUNT_TRANSFERS_MAX = 2000;
/** The transfers that a search for ways reads from each of its ends. */
export const END_TRANSFERS_MAX = 20_000;
/** The paths that a search returns. */
export const PATHS_MAX = 100;

// The partial paths that a search follows.
const STEPS_MAX = 20_000;
const STATEMENT_TIMEOUT_MS = 2000;

/**
 * The graph of who paid whom, read from the transfers themselves. While organizations are isolated, an owner sees the
 * transfers of its accounts, and no way continues from an account of others. Throws like `Database.snapshot`.
 */
export interface GraphRepository {
  /** Returns those with the largest totals first; null if the owner has no such account. */
  neighbors(search: NeighborSearch, signal?: AbortSignal): Promise<NeighborPage | null>;
  /**
   * Returns the paths from an account of the owner to another one that visit none twice, shortest first. If both are
   * the same, returns the cycles through it.
   */
  ways(search: WaySearch, signal?: AbortSignal): Promise<Search & { readonly paths: readonly Path[] }>;
}

interface NeighborsRow {
  readonly version: number;
  readonly transfersRead: number;
  readonly isCut: boolean;
  readonly neighbors: {
    readonly id: string;
    readonly isOwn: boolean;
    readonly total: string;
    readonly sent: FlowRow | null;
    readonly received: FlowRow | null;
  }[];
}

interface EdgeRow extends FlowRow {
  readonly path: number;
  readonly debit: string;
  readonly credit: string;
}

interface WaysRow {
  readonly transfersRead: number;
  readonly isCut: boolean;
  readonly edges: EdgeRow[];
}

export function createGraphRepository(db: Database): GraphRepository {
  const within = (signal: AbortSignal | undefined): SnapshotOptions => ({
    signal,
    tier: 'non-critical',
    statementTimeoutMs: STATEMENT_TIMEOUT_MS,
  });
  return {
    async neighbors(search, signal) {
      const [row] = await db.snapshot(
        (tx) => tx.query((sql) => sql<NeighborsRow[]>`${findNeighbors(sql, search)}`),
        within(signal),
      );
      return row === undefined ? null : toPage(row, search.limit);
    },
    async ways(search, signal) {
      const [row] = await db.snapshot(
        (tx) => tx.query((sql) => sql<[WaysRow]>`${findWays(sql, search)}`),
        within(signal),
      );
      const paths = Map.groupBy(row.edges, ({ path }) => path);
      return {
        paths: [...paths.values()].map((edges) => ({ edges: edges.map(toEdge) })),
        truncated: row.isCut,
        transfersRead: row.transfersRead,
      };
    },
  };
}

function toPage({ version, transfersRead, isCut, neighbors }: NeighborsRow, limit: number): NeighborPage {
  const page = neighbors.slice(0, limit);
  const last = page.at(-1);
  return {
    neighbors: page.map(({ id, isOwn, sent, received }) => ({
      accountId: id,
      isOwn,
      sent: sent && toFlow(sent),
      received: received && toFlow(received),
    })),
    next: last && neighbors.length > limit ? { version, total: BigInt(last.total), id: last.id } : null,
    truncated: isCut,
    transfersRead,
  };
}

function toEdge({ debit, credit, ...flow }: EdgeRow) {
  return { debitAccountId: debit, creditAccountId: credit, ...toFlow(flow) };
}

/** Returns the condition that the owner may see all transfers of an account. */
function openTo(sql: FragmentTag, owner: string): Fragment {
  return sql`(owner = ${owner} OR NOT ${isolates(sql)})`;
}

function findNeighbors(sql: FragmentTag, search: NeighborSearch): Fragment {
  const { owner, accountId, after, limit } = search;
  const start = sql`${startOf(search)}::text::timestamptz`;
  const largestFirst = sql`-total, other`;
  const isAfter =
    after === null
      ? sql`true`
      : sql`(${largestFirst}) > (-${String(after.total)}::numeric, ${after.id}::uuid)`;
  const flow = (isSent: boolean) => {
    const side = sql`FILTER (WHERE is_sent = ${isSent})`;
    return sql`CASE WHEN bool_or(is_sent = ${isSent}) THEN json_build_object('amount', sum(amount) ${side},
      'transfers', count(*) ${side}, 'firstAt', min(created_at) ${side}, 'lastAt', max(created_at) ${side}) END`;
  };
  return sql`
    WITH subject AS (
      SELECT id, least(version, ${after?.version ?? Number.MAX_SAFE_INTEGER}) AS version FROM accounts
      WHERE id = ${accountId} AND ${openTo(sql, owner)}
    ), read AS MATERIALIZED (
      -- Versions have no gaps, so this is a range of each index that has exactly so many rows.
      SELECT credit_account_id AS other, true AS is_sent, amount, created_at FROM subject JOIN transfers
        ON debit_account_id = subject.id AND debit_version <= subject.version
        AND debit_version > subject.version - ${NEIGHBOR_TRANSFERS_MAX}
      UNION ALL
      SELECT debit_account_id, false, amount, created_at FROM subject JOIN transfers
        ON credit_account_id = subject.id AND credit_version <= subject.version
        AND credit_version > subject.version - ${NEIGHBOR_TRANSFERS_MAX}
    ), flows AS (
      SELECT other, sum(amount) AS total, ${flow(true)} AS sent, ${flow(false)} AS received FROM read
      WHERE created_at >= ${start} GROUP BY other
    ), page AS (
      SELECT * FROM flows WHERE ${isAfter}
      ORDER BY ${largestFirst} LIMIT ${limit + 1}
    )
    SELECT version, (SELECT count(*)::int FROM read) AS transfers_read,
      version > ${NEIGHBOR_TRANSFERS_MAX}
        AND (SELECT min(created_at) FROM read) >= ${start} AS is_cut,
      coalesce((SELECT json_agg(json_build_object('id', other, 'isOwn', a.owner IS NOT DISTINCT FROM ${owner},
          'total', total::text, 'sent', sent, 'received', received) ORDER BY ${largestFirst})
        FROM page LEFT JOIN accounts a ON a.id = other), '[]') AS neighbors
    FROM subject`;
}

/**
 * Returns a query for the ways from one account to another: `edges`, numbered by path, and what it has read.
 *
 * It first reads transfers from both ends, breadth first, each account once: so each half needs only half of the depth
 * (bidirectional search, Pohl 1971). Then it walks along what was read, and only where the end is still in reach.
 */
function findWays(sql: FragmentTag, search: WaySearch): Fragment {
  const { from, to, depthMax, owner } = search;
  const isOpen = openTo(sql, owner);
  const behindMax = Math.floor(depthMax / 2);
  return sql`
    WITH RECURSIVE ends AS MATERIALIZED (
      -- Nothing is read behind an account of others.
      SELECT CASE WHEN EXISTS (SELECT FROM accounts WHERE id = ${to} AND ${isOpen}) THEN ${behindMax}::int ELSE 0 END
        AS behind
    ), ahead AS (${expand(sql, search, 'ahead')}
    ), behind AS (${expand(sql, search, 'behind')}
    ), read AS (
      SELECT * FROM ahead UNION ALL SELECT * FROM behind
    ), edges AS MATERIALIZED (
      -- What both ends have read may be cut on one of them.
      SELECT DISTINCT ON (debit, credit) edge.* FROM read, unnest(debits, credits, amounts, counts, firsts, lasts)
          AS edge(debit, credit, amount, transfers, first_at, last_at)
        JOIN accounts ON id = debit AND ${isOpen}
      ORDER BY debit, credit, transfers DESC
    ), reach(account, steps) AS (
      SELECT ${to}::uuid, 0 UNION
      SELECT e.debit, r.steps + 1 FROM reach r JOIN edges e ON e.credit = r.account WHERE r.steps < ${depthMax}
    ), nearest AS MATERIALIZED (
      SELECT account, min(steps) AS steps FROM reach GROUP BY account
    ), useful AS MATERIALIZED (
      SELECT debit, credit, steps FROM edges JOIN nearest ON account = credit
    ), walk(account, depth, accounts) AS (
      SELECT ${from}::uuid, 0, ARRAY[${from}::uuid]
      UNION ALL
      SELECT u.credit, w.depth + 1, w.accounts || u.credit FROM walk w JOIN useful u ON u.debit = w.account
      WHERE w.depth + 1 + u.steps <= ${depthMax} AND (w.depth = 0 OR w.account <> ${to}::uuid)
    ) CYCLE account SET is_cycle USING visited, walked AS MATERIALIZED (
      SELECT account, depth, accounts, is_cycle FROM walk LIMIT ${STEPS_MAX + 1}
    ), found AS (
      SELECT accounts, row_number() OVER (ORDER BY depth, accounts) AS path FROM walked
      WHERE account = ${to} AND depth > 0 AND is_cycle = ${from === to} ORDER BY path LIMIT ${PATHS_MAX + 1}
    ), steps AS (
      SELECT path, nth, accounts[nth] AS debit, accounts[nth + 1] AS credit
      FROM found, generate_series(1, cardinality(accounts) - 1) nth WHERE path <= ${PATHS_MAX}
    )
    SELECT (SELECT max(transfers_read) FROM ahead) + (SELECT max(transfers_read) FROM behind) AS transfers_read,
      (SELECT bool_or(is_cut) FROM read) OR (SELECT count(*) > ${STEPS_MAX} FROM walked)
        OR (SELECT count(*) > ${PATHS_MAX} FROM found) AS is_cut,
      coalesce((SELECT json_agg(json_build_object('path', path, 'debit', debit, 'credit', credit,
          'amount', amount, 'transfers', transfers, 'firstAt', first_at, 'lastAt', last_at) ORDER BY path, nth)
        FROM steps JOIN edges USING (debit, credit)), '[]') AS edges`;
}

/**
 * Returns a recursive query with a row for each depth: the accounts that were reached first at this depth, all that
 * were reached so far, and the flows of those of the depth before. One row holds them all, because only so can the next
 * depth leave out what was reached already, and read no more than what is left of the bound.
 */
function expand(sql: FragmentTag, search: WaySearch, name: 'ahead' | 'behind'): Fragment {
  const isAhead = name === 'ahead';
  const { owner, from, to, depthMax } = search;
  const start = isAhead ? from : to;
  const [own, other, version] = isAhead
    ? [sql`debit_account_id`, sql`credit_account_id`, sql`debit_version`]
    : [sql`credit_account_id`, sql`debit_account_id`, sql`credit_version`];
  const self = isAhead ? sql`ahead` : sql`behind`;
  const after = sql`${startOf(search)}::text::timestamptz`;
  // An account that pays thousands must not use up the bound before the others are read, so each has a share of it. One
  // that has used its share may have more.
  return sql`
      SELECT 0 AS depth, ARRAY[${start}::uuid] AS frontier, ARRAY[${start}::uuid] AS reached, 0 AS transfers_read,
        false AS is_cut, '{}'::uuid[] AS debits, '{}'::uuid[] AS credits, '{}'::bigint[] AS amounts,
        '{}'::bigint[] AS counts, '{}'::timestamptz[] AS firsts, '{}'::timestamptz[] AS lasts
      UNION ALL
      SELECT depth + 1, next.frontier, reached || next.frontier, transfers_read + next.count, next.is_cut, next.debits,
        next.credits, next.amounts, next.counts, next.firsts, next.lasts
      FROM ${self} former CROSS JOIN ends CROSS JOIN LATERAL (
        SELECT greatest(1, least(${ACCOUNT_TRANSFERS_MAX + 1}, (${END_TRANSFERS_MAX} - former.transfers_read)
          / greatest(1, cardinality(former.frontier)))) AS share
      ) each CROSS JOIN LATERAL (
        WITH taken AS MATERIALIZED (
          SELECT t.* FROM unnest(former.frontier) AS at(account)
            JOIN accounts ON id = account AND ${openTo(sql, owner)}
            CROSS JOIN LATERAL (
              SELECT debit_account_id, credit_account_id, amount, created_at, row_number() OVER () AS nth FROM (
                SELECT * FROM transfers WHERE ${own} = account
                ORDER BY ${version} DESC LIMIT each.share) newest) t
          LIMIT ${END_TRANSFERS_MAX} - former.transfers_read
        ), flows AS (
          SELECT debit_account_id AS debit, credit_account_id AS credit, sum(amount)::bigint AS amount,
            count(*) AS count, min(created_at) AS first, max(created_at) AS last
          FROM taken WHERE created_at >= ${after} GROUP BY 1, 2
        )
        SELECT (SELECT count(*)::int FROM taken) AS count,
          coalesce((SELECT bool_or(nth = each.share AND created_at >= ${after})
            OR count(*) >= ${END_TRANSFERS_MAX} - former.transfers_read FROM taken), false) AS is_cut,
          ARRAY(SELECT DISTINCT ${other} FROM taken WHERE created_at >= ${after}
            AND NOT EXISTS (SELECT FROM unnest(former.reached) AS r(account) WHERE account = ${other})) AS frontier,
          coalesce(array_agg(debit), '{}') AS debits, coalesce(array_agg(credit), '{}') AS credits,
          coalesce(array_agg(amount), '{}') AS amounts, coalesce(array_agg(count), '{}') AS counts,
          coalesce(array_agg(first), '{}') AS firsts, coalesce(array_agg(last), '{}') AS lasts
        FROM flows
      ) next
      WHERE depth < ${isAhead ? sql`${depthMax} - ends.behind` : sql`ends.behind`}
        AND former.frontier <> '{}' AND former.transfers_read < ${END_TRANSFERS_MAX}`;
}
