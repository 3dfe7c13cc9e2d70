import { auditFragment } from '../../../adapters/postgres/audit.ts';
import type { Database, QueryOptions } from '../../../adapters/postgres/database.ts';
import type { Fragment } from '../../../adapters/postgres/query.ts';
import type { Expected } from '../../../http/etag.ts';
import type { Actor } from '../../../utils/actor.ts';
import type { AgePosition } from '../age-cursor.ts';
import { createdMicros, nextByAge, positionOf } from '../age-order.ts';
import {
  LIMITS_MAX,
  LIMITS_PER_ACCOUNT_MAX,
  type Limit,
  type LimitChange,
  type LimitWithAccounts,
  type LimitWriter,
  type NewLimit,
} from '../limit-content.ts';
import { type LimitRow, toLimit } from './limit-row.ts';

/** Why a limit was not written. `accountNo` is the number of the account that is to blame, from 1. */
export interface LimitRefusal {
  readonly outcome:
    | 'too_many_limits'
    | 'too_many_account_limits'
    | 'limit_not_found'
    | 'limit_of_operator'
    | 'precondition_failed'
    | 'no_accounts'
    | 'no_maximum'
    | 'unknown_account'
    | 'different_ledgers';
  readonly accountNo: number | null;
}

/** Limits across accounts in PostgreSQL. Every method but the last three is limited to one owner. */
export interface LimitRepository {
  /** Returns null if it was created. */
  create(
    id: string,
    writer: LimitWriter,
    content: NewLimit,
    actor: Actor,
    options: QueryOptions,
  ): Promise<LimitRefusal | null>;
  /** Returns null if it was changed. */
  change(
    id: string,
    writer: LimitWriter,
    expected: Expected,
    change: LimitChange,
    actor: Actor,
    signal?: AbortSignal,
  ): Promise<LimitRefusal | null>;
  /** Returns null if it was deleted. From then on, nothing is counted or refused. */
  remove(id: string, writer: LimitWriter, actor: Actor, signal?: AbortSignal): Promise<LimitRefusal | null>;
  find(owner: string, id: string, options?: QueryOptions): Promise<LimitWithAccounts | null>;
  /** Oldest first. */
  list(
    owner: string,
    after: AgePosition | null,
    limit: number,
    signal?: AbortSignal,
  ): Promise<{ limits: Limit[]; next: AgePosition | null }>;
  isOrganization(id: string, signal?: AbortSignal): Promise<boolean>;
  /** Whether there is a limit with the ID, or was one that is deleted. Of any owner, so not for callers. */
  exists(id: string): Promise<boolean>;
  /** Waits for the batch of payments that may not know of the last change. */
  settle(signal?: AbortSignal): Promise<void>;
  /** Deletes rows of deleted limits, in bounded steps. */
  purge(): Promise<void>;
}

const PURGE_ROWS_MAX = 5000;

export function createLimitRepository(db: Database): LimitRepository {
  const columns = limitColumns(db);
  return {
    ...createWriting(db),
    async find(owner, id, options) {
      const [row] = await db.query(
        (sql) => sql<(LimitRow & { accountIds: string[] | null })[]>`
          SELECT ${columns}, CASE scope WHEN 'accounts' THEN to_json(ARRAY(
                   SELECT account_id FROM limit_accounts WHERE limit_id = id ORDER BY account_id)) END AS account_ids
            FROM limits CROSS JOIN (SELECT clock_timestamp() AS now) clock
           WHERE id = ${id} AND owner = ${owner} AND deleted_at IS NULL`,
        options,
      );
      return row ? { ...toLimit(row), accountIds: row.accountIds } : null;
    },
    async list(owner, after, limit, signal) {
      const younger = after && db.fragment`AND (created_at, id) > ${positionOf(db.fragment, after)}`;
      const rows = await db.query(
        (sql) => sql<(LimitRow & { createdMicros: number })[]>`
          SELECT ${columns}, ${createdMicros(sql)} FROM limits CROSS JOIN (SELECT clock_timestamp() AS now) clock
           WHERE owner = ${owner} AND deleted_at IS NULL ${younger ?? sql``}
           ORDER BY created_at, id LIMIT ${limit + 1}`,
        { signal },
      );
      const page = rows.slice(0, limit);
      return { limits: page.map(toLimit), next: nextByAge(page, rows.length > limit) };
    },
    async exists(id) {
      return (await db.query((sql) => sql`SELECT FROM limits WHERE id = ${id}`)).count === 1;
    },
    async isOrganization(id, signal) {
      const found = await db.query((sql) => sql`SELECT FROM organizations WHERE id = ${id}`, { signal });
      return found.count === 1;
    },
  };
}

type Writing = Pick<LimitRepository, 'create' | 'change' | 'remove' | 'settle' | 'purge'>;

function createWriting(db: Database): Writing {
  const audited = (actor: Actor, did: string, changed: Fragment) =>
    auditFragment(db.fragment, actor, ['limit', did], changed);
  /** Runs `write_limit`, in one statement: a batch of payments may wait for the row. */
  async function write(
    id: string,
    { owner, isOperator }: LimitWriter,
    expected: Expected | 'new',
    { accountIds, ...content }: NewLimit | LimitChange,
    actor: Actor,
    options: QueryOptions,
  ): Promise<LimitRefusal | null> {
    const isNew = expected === 'new';
    const revisions = typeof expected === 'string' ? null : [...expected];
    const ids = accountIds ? `{${accountIds.join(',')}}` : null;
    const [row] = await db.query(
      (sql) => sql<[{ outcome: LimitRefusal['outcome'] | 'created' | 'changed'; accountNo: number | null }]>`
        WITH written AS (
          SELECT * FROM write_limit(${id}, ${owner}, ${isNew}, ${isOperator}, ${revisions}::bigint[],
            ${JSON.stringify(content)}::text::jsonb, ${ids}::uuid[], ${LIMITS_MAX}, ${LIMITS_PER_ACCOUNT_MAX},
            ${LIMITS_PER_ACCOUNT_MAX})
        ), audited AS (${audited(
          actor,
          isNew ? 'created' : 'updated',
          db.fragment`SELECT ${owner}, ${id}, before, after FROM written WHERE outcome IN ('created', 'changed')`,
        )})
        SELECT outcome, account_no FROM written`,
      options,
    );
    const { outcome, accountNo } = row;
    return outcome === 'created' || outcome === 'changed' ? null : { outcome, accountNo };
  }

  return {
    create: (id, writer, content, actor, options) => write(id, writer, 'new', content, actor, options),
    change: (id, writer, expected, change, actor, signal) =>
      write(id, writer, expected, change, actor, { signal }),
    async remove(id, { owner, isOperator }, actor, signal) {
      const [row] = await db.query(
        (sql) => sql<[{ setBy: string; removed: boolean }?]>`
          WITH found AS (
            SELECT id, set_by FROM limits WHERE id = ${id} AND owner = ${owner} AND deleted_at IS NULL
          ), removed AS (
            UPDATE limits l SET deleted_at = clock_timestamp() FROM found
             WHERE l.id = found.id AND l.deleted_at IS NULL AND (found.set_by = 'organization' OR ${isOperator})
            RETURNING l.*
          ), audited AS (${audited(
            actor,
            'deleted',
            db.fragment`SELECT owner, id, described_limit(removed::limits), NULL::jsonb FROM removed`,
          )})
          SELECT set_by, EXISTS (SELECT FROM removed) AS removed FROM found`,
        { signal },
      );
      if (row?.removed) return null;
      const isKept = row?.setBy === 'operator' && !isOperator;
      return { outcome: isKept ? 'limit_of_operator' : 'limit_not_found', accountNo: null };
    },
    async settle(signal) {
      await db.query((sql) => sql`SELECT pg_advisory_xact_lock_shared(5703951129318914)`, { signal });
    },
    async purge() {
      for (const table of ['limit_reservations', 'limit_accounts'] as const) {
        for (let count = PURGE_ROWS_MAX; count === PURGE_ROWS_MAX; ) {
          ({ count } = await db.query(
            (sql) => sql`
            DELETE FROM ${sql(table)} WHERE ctid = ANY (ARRAY(
              SELECT r.ctid FROM limits l JOIN ${sql(table)} r ON r.limit_id = l.id WHERE l.deleted_at IS NOT NULL
              LIMIT ${PURGE_ROWS_MAX}))`,
          ));
        }
      }
      await db.query(
        (sql) => sql`
          DELETE FROM limits WHERE id = ANY (ARRAY(SELECT id FROM limits l WHERE deleted_at IS NOT NULL
            AND NOT EXISTS (SELECT FROM limit_reservations WHERE limit_id = l.id)
            AND NOT EXISTS (SELECT FROM limit_accounts WHERE limit_id = l.id) LIMIT ${PURGE_ROWS_MAX}))`,
      );
    },
  };
}

/** The columns of a {@link LimitRow}, with what is used now. `now` is the time of the database. */
function limitColumns(db: Database): Fragment {
  const windowOf = (unit: 'hour' | 'day') =>
    unit === 'hour'
      ? db.fragment`greatest(hour_starts_at, date_trunc('hour', now, 'UTC'))`
      : db.fragment`greatest(day_starts_at, date_trunc('day', now, 'UTC'))`;
  return db.fragment`
    id, name, ledger, scope, account_count, counts, counts_internal, set_by, created_at, revision,
    json_build_object('transferAmount', transfer_amount_max, 'hourAmount', hour_amount_max, 'hourCount', hour_count_max,
      'dayAmount', day_amount_max, 'dayCount', day_count_max, 'totalAmount', total_amount_max) AS maxima,
    ${windowOf('hour')} AS hour_starts_at, ${windowOf('day')} AS day_starts_at,
    CASE WHEN hour_starts_at = ${windowOf('hour')} THEN least(hour_amount, 9007199254740991) ELSE 0 END AS hour_amount,
    CASE WHEN hour_starts_at = ${windowOf('hour')} THEN hour_count ELSE 0 END AS hour_count,
    CASE WHEN day_starts_at = ${windowOf('day')} THEN least(day_amount, 9007199254740991) ELSE 0 END AS day_amount,
    CASE WHEN day_starts_at = ${windowOf('day')} THEN day_count ELSE 0 END AS day_count,
    least(total_amount, 9007199254740991) AS total_amount`;
}
