import { recordAudit } from '../../../adapters/postgres/audit.ts';
import type { Database } from '../../../adapters/postgres/database.ts';
import type { Fragment, FragmentTag, Queryable } from '../../../adapters/postgres/query.ts';
import type { Actor } from '../../../utils/actor.ts';
import { sortMembers } from '../movement.ts';
import { inPostingOrder } from './export-order.ts';

/** Reads all that an owner has in the ledger, in an order in which it can be posted again. */
export interface ExportRepository {
  /** Runs work on a snapshot. Throws like `Database.snapshot`. */
  snapshot(work: (tx: Queryable) => Promise<void>, signal: AbortSignal): Promise<void>;
  /** Writes who exports what to the audit log. */
  record(owner: string, documents: boolean, actor: Actor): Promise<void>;
  /** Yields lines of an export. `tx` is a snapshot, so that all of them are of one moment. */
  lines(tx: Queryable, owner: string): AsyncGenerator<readonly object[], void, undefined>;
}

/** The balance that no account is below: a transfer that was posted once is then posted again, whatever floors were. */
const NO_FLOOR = -9_007_199_254_740_991;
const FETCH_ROWS = 1000;
// Transfers of one time are in memory at once. Usually they are one batch, but a clock that was set back stands still.
const SAME_TIME_MAX = 50_000;

export function createExportRepository(db: Database): ExportRepository {
  return {
    snapshot: (work, signal) => db.snapshot(work, { signal, tier: 'non-critical' }),
    record: (owner, documents, actor) =>
      recordAudit(db, actor, {
        action: 'organization.exported',
        organization: owner,
        target: { type: 'organization', id: owner },
        after: { documents },
      }),
    async *lines(tx, owner) {
      yield* pages(tx, 'own', (sql) => ownAccounts(sql, owner), toAccount);
      yield* pages(tx, 'others', (sql) => otherAccounts(sql, owner), toOther);
      yield* transfers(tx, owner);
      yield* pages(tx, 'held', (sql) => holds(sql, owner), toHold);
      yield* pages(tx, 'settings', (sql) => settings(sql, owner), toSettings);
    },
  };
}

/** Yields the rows of a query a page at a time, through a cursor. */
async function* pages<R>(
  tx: Queryable,
  cursor: string,
  build: (sql: FragmentTag) => Fragment,
  toLine: (row: R) => object,
): AsyncGenerator<readonly object[], void, undefined> {
  for await (const rows of fetches<R>(tx, cursor, build)) yield rows.map(toLine);
}

async function* fetches<R>(
  tx: Queryable,
  cursor: string,
  build: (sql: FragmentTag) => Fragment,
): AsyncGenerator<readonly R[], void, undefined> {
  await tx.query((sql) => sql`DECLARE ${sql(cursor)} NO SCROLL CURSOR FOR ${build(sql as FragmentTag)}`);
  for (;;) {
    const rows = await tx.query(
      (sql) => sql<object[]>`FETCH ${sql.unsafe(String(FETCH_ROWS))} FROM ${sql(cursor)}`,
    );
    if (rows.length > 0) yield rows as unknown as readonly R[];
    if (rows.length < FETCH_ROWS) break;
  }
  await tx.query((sql) => sql`CLOSE ${sql(cursor)}`);
}

/** Parents come before their children. */
function ownAccounts(sql: FragmentTag, owner: string): Fragment {
  return sql`
    WITH RECURSIVE placed AS (
      SELECT a.*, 0 AS depth FROM accounts a WHERE owner = ${owner}
        AND NOT EXISTS (SELECT FROM accounts p WHERE p.id = a.parent_id AND p.owner = ${owner})
      UNION ALL
      SELECT a.*, depth + 1 FROM placed JOIN accounts a ON a.parent_id = placed.id
      WHERE a.owner = ${owner} AND depth < 100
    )
    SELECT id, ledger, name, kind, allow_negative, metadata, accepts_from, accepts_up_to, created_at,
           CASE WHEN depth > 0 THEN parent_id END AS parent_id, credits_posted - debits_posted AS balance
    FROM placed ORDER BY depth, created_at, id`;
}

interface AccountRow {
  readonly id: string;
  readonly ledger: string;
  readonly name: string | null;
  readonly kind: string | null;
  readonly allowNegative: boolean;
  readonly metadata: Record<string, string>;
  readonly acceptsFrom: readonly string[] | null;
  readonly acceptsUpTo: number;
  readonly parentId: string | null;
  readonly balance: number;
  readonly createdAt: Date;
}

function toAccount({ createdAt, metadata, ...row }: AccountRow): object {
  return {
    type: 'account',
    ...row,
    metadata: sortMembers(metadata),
    ...(!row.allowNegative && { balanceMin: NO_FLOOR }),
    createdAt: createdAt.toISOString(),
  };
}

/** The accounts of others on the other side of transfers and holds: nothing but what those show. */
function otherAccounts(sql: FragmentTag, owner: string): Fragment {
  const isOther = (column: Fragment) =>
    sql`NOT EXISTS (SELECT FROM accounts o WHERE o.id = ${column} AND o.owner = ${owner})`;
  return sql`
    SELECT DISTINCT ON (id) id, ledger FROM (
      SELECT t.credit_account_id AS id, t.ledger FROM accounts a JOIN transfers t ON t.debit_account_id = a.id
       WHERE a.owner = ${owner} AND ${isOther(sql`t.credit_account_id`)}
      UNION ALL
      SELECT t.debit_account_id, t.ledger FROM accounts a JOIN transfers t ON t.credit_account_id = a.id
       WHERE a.owner = ${owner} AND ${isOther(sql`t.debit_account_id`)}
      UNION ALL
      SELECT h.credit_account_id, h.ledger FROM accounts a JOIN holds h ON h.debit_account_id = a.id
       WHERE a.owner = ${owner} AND ${isOther(sql`h.credit_account_id`)}
    ) every ORDER BY id`;
}

function toOther({ id, ledger }: { readonly id: string; readonly ledger: string }): object {
  return { type: 'account', id, ledger, allowNegative: true, isExternal: true };
}

interface TransferRow {
  readonly id: string;
  readonly debitAccountId: string;
  readonly creditAccountId: string;
  readonly debitVersion: number;
  readonly creditVersion: number;
  readonly ledger: string;
  readonly amount: number;
  readonly reference: string | null;
  readonly metadata: Record<string, string>;
  readonly holdId: string | null;
  readonly reversesId: string | null;
  readonly effectiveAt: Date | null;
  readonly createdAt: Date;
  readonly postedUs: number;
}

/** The order by time is that of each account; who paid has the metadata, like in every list. */
function ownTransfers(sql: FragmentTag, owner: string): Fragment {
  const columns = (
    t: Fragment,
    metadata: Fragment,
  ) => sql`SELECT ${t}.id, ${t}.debit_account_id, ${t}.credit_account_id,
    ${t}.debit_version, ${t}.credit_version, ${t}.ledger, ${t}.amount, ${t}.reference, ${metadata} AS metadata,
    ${t}.hold_id, ${t}.reverses_id, ${t}.effective_at, ${t}.created_at`;
  return sql`
    SELECT *, (extract(epoch FROM created_at) * 1000000)::bigint AS posted_us FROM (
      ${columns(sql`t`, sql`t.metadata`)} FROM accounts a JOIN transfers t ON t.debit_account_id = a.id
       WHERE a.owner = ${owner}
      UNION ALL
      ${columns(sql`t`, sql`'{}'::jsonb`)} FROM accounts a JOIN transfers t ON t.credit_account_id = a.id
       WHERE a.owner = ${owner}
         AND NOT EXISTS (SELECT FROM accounts p WHERE p.id = t.debit_account_id AND p.owner = ${owner})
    ) every ORDER BY created_at`;
}

async function* transfers(tx: Queryable, owner: string): AsyncGenerator<readonly object[], void, undefined> {
  let sameTime: TransferRow[] = [];
  const fetched = fetches<TransferRow>(tx, 'moved', (sql) => ownTransfers(sql, owner));
  for await (const rows of fetched) {
    const lines: object[] = [];
    for (const row of rows) {
      const [first] = sameTime;
      if (first !== undefined && (first.postedUs !== row.postedUs || sameTime.length >= SAME_TIME_MAX)) {
        lines.push(...inPostingOrder(sameTime).map(toTransfer));
        sameTime = [];
      }
      sameTime.push(row);
    }
    yield lines;
  }
  yield inPostingOrder(sameTime).map(toTransfer);
}

/** What had no time of its own took effect when it was posted. */
function toTransfer(row: TransferRow): object {
  const { id, debitAccountId, creditAccountId, ledger, amount, reference, metadata, holdId, reversesId } =
    row;
  return {
    type: 'transfer',
    id,
    debitAccountId,
    creditAccountId,
    ledger,
    amount,
    reference,
    metadata: sortMembers(metadata),
    ...(holdId !== null && { holdId }),
    ...(reversesId !== null && { reversesId }),
    effectiveAt: (row.effectiveAt ?? row.createdAt).toISOString(),
    createdAt: row.createdAt.toISOString(),
  };
}

function holds(sql: FragmentTag, owner: string): Fragment {
  return sql`
    SELECT h.id, debit_account_id, credit_account_id, h.ledger, amount, posted, state, reference, h.metadata,
           h.created_at, expires_at, settled_at
    FROM accounts a JOIN holds h ON h.debit_account_id = a.id WHERE a.owner = ${owner} ORDER BY h.created_at, h.id`;
}

type HoldRow = Record<string, unknown> & {
  readonly metadata: Record<string, string>;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  readonly settledAt: Date | null;
};

function toHold({ metadata, createdAt, expiresAt, settledAt, ...row }: HoldRow): object {
  return {
    type: 'hold',
    ...row,
    metadata: sortMembers(metadata),
    expiresAt: expiresAt.toISOString(),
    createdAt: createdAt.toISOString(),
    ...(settledAt !== null && { settledAt: settledAt.toISOString() }),
  };
}

function settings(sql: FragmentTag, owner: string): Fragment {
  return sql`
    SELECT id, balance_min, balance_max, debits_frozen, credits_frozen, closed_at IS NOT NULL AS is_closed,
           overdrawn_by_force AS is_overdrawn
    FROM accounts WHERE owner = ${owner} AND (NOT allow_negative OR balance_min IS NOT NULL OR balance_max IS NOT NULL
      OR debits_frozen OR credits_frozen OR closed_at IS NOT NULL)
    ORDER BY created_at, id`;
}

function toSettings(row: Record<string, unknown>): object {
  const set = Object.entries(row).filter(([, value]) => value !== null && value !== false);
  return { type: 'accountSettings', ...Object.fromEntries(set) };
}
