import type { Database } from '../../../adapters/postgres/database.ts';
import { isolates } from '../../../adapters/postgres/isolation.ts';
import { rowsWithin, type SizedRow, takePage } from '../../../adapters/postgres/page-of-bytes.ts';
import type { Fragment, FragmentTag } from '../../../adapters/postgres/query.ts';
import type { AgePosition } from '../age-cursor.ts';
import { createdMicros, nextByAge, positionOf } from '../age-order.ts';
import { HOLD_STATES, type Hold, type HoldState } from '../hold.ts';
import { type HoldRow, holdColumns, toHold } from '../hold-row.ts';

/** A page of an account's holds, newest first. The next page is before `next`. */
export interface HoldPage {
  readonly holds: readonly Hold[];
  readonly next: AgePosition | null;
}

/**
 * Holds in PostgreSQL. While organizations are isolated, an owner sees those of its accounts, without the metadata of
 * what others hold for them; otherwise everybody sees all.
 */
export interface HoldRepository {
  find(owner: string, id: string, signal?: AbortSignal): Promise<Hold | null>;
  /** Of one state, or of all if it is null. A page also ends at `PAGE_BYTES_MAX`. */
  listByAccount(
    owner: string,
    accountId: string,
    state: HoldState | null,
    before: AgePosition | null,
    limit: number,
    signal?: AbortSignal,
  ): Promise<HoldPage>;
  /** Returns holds that are past their expiry, of each owner in turn the one that expired first. */
  due(holdsMax: number): Promise<string[]>;
  /** Releases those of the holds that are past their expiry. Returns how many. */
  expire(ids: readonly string[]): Promise<number>;
  /** Returns for how many seconds the oldest hold that was not released yet has been past its expiry; 0 if none is. */
  overdueSeconds(): Promise<number>;
}

// About what a hold has in a page besides its metadata.
const HOLD_BYTES = 500;
// Due holds that are divided by owner. They are read without the lock of posting, in some hundred milliseconds.
const DUE_HOLDS_MAX = 200_000;

export function createHoldRepository(db: Database): HoldRepository {
  const ownerOf = (sql: FragmentTag, accountId: Fragment) =>
    sql`(SELECT a.owner FROM accounts a WHERE a.id = ${accountId})`;
  /** The metadata for a reader: null if it may not see the hold. */
  const metadataFor = (sql: FragmentTag, owner: string) =>
    sql`CASE WHEN NOT ${isolates(sql)} OR ${ownerOf(sql, sql`debit_account_id`)} = ${owner} THEN metadata
          WHEN ${ownerOf(sql, sql`credit_account_id`)} = ${owner} THEN '{}' END`;

  return {
    async find(owner, id, signal) {
      const [row] = await db.query(
        (sql) => sql<HoldRow[]>`
          SELECT * FROM (SELECT ${holdColumns(db.fragment)}, ${metadataFor(db.fragment, owner)} AS metadata
            FROM holds WHERE id = ${id}) found WHERE metadata IS NOT NULL`,
        { signal },
      );
      return row ? toHold(row) : null;
    },
    async listByAccount(owner, accountId, state, before, limit, signal) {
      const older = before && db.fragment`AND (created_at, id) < ${positionOf(db.fragment, before)}`;
      const rows = await db.query(
        (sql) => {
          // PostgreSQL evaluates it once, before it reads any hold.
          const isOpen = sql`(NOT ${isolates(sql)} OR ${ownerOf(sql, sql`${accountId}`)} = ${owner})`;
          // Each reads an index in order: an OR over sides and states would read and sort every hold.
          const branch = (side: Fragment, each: HoldState) => sql`
            (SELECT * FROM holds WHERE ${side} = ${accountId} AND state = ${each} AND ${isOpen} ${older ?? sql``}
              ORDER BY created_at DESC, id DESC LIMIT ${limit + 1})`;
          const branches = (state === null ? HOLD_STATES : [state]).flatMap((each) => [
            branch(sql`debit_account_id`, each),
            branch(sql`credit_account_id`, each),
          ]);
          const merged = branches.reduce((left, right) => sql`${left} UNION ALL ${right}`);
          return sql<(HoldRow & SizedRow & { createdMicros: number })[]>`
            SELECT ${holdColumns(sql)}, metadata, bytes_so_far,
                   ${createdMicros(sql)} FROM (${rowsWithin(sql, {
                     source: sql`SELECT ${holdColumns(sql)}, ${metadataFor(sql, owner)} AS metadata
                       FROM (${merged}) found ORDER BY created_at DESC, id DESC LIMIT ${limit + 1}`,
                     order: sql`created_at DESC, id DESC`,
                     document: sql`metadata`,
                     otherBytes: HOLD_BYTES,
                   })}) page ORDER BY nth`;
        },
        { signal },
      );
      const { page, hasMore } = takePage(rows, limit);
      return { holds: page.map(toHold), next: nextByAge(page, hasMore) };
    },
    async due(holdsMax) {
      const rows = await db.query(
        (sql) => sql<{ id: string }[]>`
          SELECT id FROM (
            SELECT id, expires_at, row_number() OVER (PARTITION BY owner ORDER BY expires_at) AS nth FROM (
              SELECT id, expires_at, ${ownerOf(sql, sql`debit_account_id`)} AS owner FROM holds
               WHERE state = 'pending' AND expires_at <= now() ORDER BY expires_at LIMIT ${DUE_HOLDS_MAX}) due) turns
           ORDER BY nth, expires_at LIMIT ${holdsMax}`,
      );
      return rows.map(({ id }) => id);
    },
    async expire(ids) {
      const [row] = await db.query(
        (sql) => sql<[{ expired: number }]>`SELECT expire_given_holds(${ids}::uuid[]) AS expired`,
        { tier: 'critical' },
      );
      return row.expired;
    },
    async overdueSeconds() {
      const [row] = await db.query(
        (sql) => sql<[{ seconds: number }]>`
          SELECT greatest(coalesce((SELECT extract(epoch FROM clock_timestamp() - min(expires_at)) FROM holds
            WHERE state = 'pending'), 0), 0)::float8 AS seconds`,
      );
      return row.seconds;
    },
  };
}
