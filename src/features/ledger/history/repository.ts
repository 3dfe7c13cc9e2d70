import type { Database } from '../../../adapters/postgres/database.ts';
import { isolates } from '../../../adapters/postgres/isolation.ts';
import type { Fragment, FragmentTag } from '../../../adapters/postgres/query.ts';
import type {
  Entry,
  PastBalance,
  Period,
  StatementChunk,
  StatementHead,
  StatementPosition,
  TimeOrder,
} from './domain.ts';
import { FIRST_MS } from './domain.ts';
import { mergeEntries, type OwnEntry } from './merge-entries.ts';

/** Which entries of an account to list. */
export interface EntryList {
  readonly fromMs: number | null;
  readonly toMs: number | null;
  readonly isNewestFirst: boolean;
  /** The version that the page goes on after; null for the first page. */
  readonly after: number | null;
  readonly limit: number;
}

/** With the clock of the database, in milliseconds since 1970. */
export type Clocked<T> = T & { readonly nowMs: number };

/**
 * The history of accounts in PostgreSQL. While organizations are isolated, an owner sees that of its own. Null if the
 * owner has no such account. Throws like `Database.query`.
 */
export interface HistoryRepository {
  /** By time of effect, at most 2,560 sums are read, however many entries are back-dated. Null is now. */
  balance(
    owner: string,
    id: string,
    by: TimeOrder,
    atMs: number | null,
    signal?: AbortSignal,
  ): Promise<Clocked<PastBalance> | null>;
  /** A page has one entry more than `limit` if there are more. */
  entries(owner: string, id: string, list: EntryList, signal?: AbortSignal): Promise<Entry[]>;
  /** Without a version to end at, the statement knows all that is recorded now. */
  statement(
    owner: string,
    id: string,
    period: Period,
    lastVersion: number | null,
    signal?: AbortSignal,
  ): Promise<Clocked<StatementHead> | null>;
  /** Returns the balance before a position. */
  balanceBefore(
    owner: string,
    head: StatementHead,
    position: StatementPosition,
    signal?: AbortSignal,
  ): Promise<number | null>;
  /** Returns up to `limit` entries from a position on, perhaps none. */
  chunk(
    owner: string,
    head: StatementHead,
    position: StatementPosition,
    balanceBefore: number,
    limit: number,
    signal?: AbortSignal,
  ): Promise<StatementChunk | null>;
  /** Does one step of the backfill of balances. Returns whether there is nothing left to do. */
  backfill(entriesMax: number): Promise<{ isDone: boolean; checkpoints: number }>;
}

interface EntryRow {
  readonly version: number;
  readonly net: number;
  readonly balance: number;
  readonly transferId: string;
  readonly counterpartyId: string;
  readonly reference: string | null;
  readonly createdAt: Date;
  readonly effectiveAt: Date | null;
}

const TIER = 'non-critical';

export function createHistoryRepository(db: Database): HistoryRepository {
  return { ...createBalances(db), ...createStatements(db) };
}

/** The condition that the owner may see an account. */
const isOpen = (sql: FragmentTag, owner: string): Fragment =>
  sql`(a.owner = ${owner} OR NOT ${isolates(sql)})`;

const momentOf = (sql: FragmentTag, ms: number | Fragment): Fragment =>
  sql`('epoch'::timestamptz + (${ms as number})::bigint * interval '1 millisecond')`;

/** Now, in milliseconds. The times of an account are never after it, even if the clock went back. */
const nowMs = (sql: FragmentTag): Fragment =>
  sql`floor(extract(epoch FROM greatest(clock_timestamp(), a.posted_at)) * 1000)::bigint`;

function createBalances(db: Database): Pick<HistoryRepository, 'balance' | 'entries' | 'backfill'> {
  return {
    async balance(owner, id, by, atMs, signal) {
      const [row] = await db.query(
        (sql) => {
          const version = sql`entry_version_before(id, ${momentOf(sql, sql`at_ms + 1`)}, version)`;
          return sql<Clocked<{ ledger: string; atMs: number; balance: number; version: number }>[]>`
          WITH subject AS MATERIALIZED (
            SELECT id, ledger, version, now_ms, coalesce(${atMs}::bigint, now_ms) AS at_ms
            FROM (SELECT *, ${nowMs(sql)} AS now_ms FROM accounts a WHERE id = ${id} AND ${isOpen(sql, owner)}) now
          ), counted AS MATERIALIZED (SELECT *, ${version} AS counted_version FROM subject)
          SELECT ledger, at_ms, now_ms, ${
            by === 'recorded'
              ? sql`counted_version AS version, entry_balance(id, counted_version) AS balance`
              : sql`version, effective_balance(id, counted_version, at_ms, version, version) AS balance`
          } FROM counted`;
        },
        { signal },
      );
      return row ? { accountId: id, by, ...row } : null;
    },
    async entries(owner, id, { fromMs, toMs, isNewestFirst, after, limit }, signal) {
      const rows = await db.query(
        (sql) => {
          const before = (ms: number | null, otherwise: Fragment) =>
            ms === null ? otherwise : sql`entry_version_before(a.id, ${momentOf(sql, ms)}, a.version)`;
          const end = sql`least(last, ${after ?? Number.MAX_SAFE_INTEGER}::bigint - 1)`;
          const start = sql`greatest(first, ${after ?? 0}::bigint)`;
          const range = isNewestFirst
            ? sql`greatest(first, ${end} - ${limit + 1}) AS low, ${end} AS high`
            : sql`${start} AS low, least(last, ${start} + ${limit + 1}) AS high`;
          return sql<EntryRow[]>`
          WITH bounds AS MATERIALIZED (
            SELECT a.id, ${before(fromMs, sql`0::bigint`)} AS first, ${before(toMs, sql`a.version`)} AS last
            FROM accounts a WHERE a.id = ${id} AND ${isOpen(sql, owner)}
          ), range AS MATERIALIZED (SELECT id, ${range} FROM bounds)
          SELECT e.* FROM range CROSS JOIN LATERAL read_entries(id, low, high) e
          ORDER BY version ${isNewestFirst ? sql`DESC` : sql``}`;
        },
        { signal },
      );
      return rows.map(toEntry);
    },
    async backfill(entriesMax) {
      const [row] = await db.query(
        (sql) =>
          sql<[{ isDone: boolean; checkpoints: number }]>`SELECT * FROM backfill_balances(${entriesMax})`,
        { tier: TIER },
      );
      return row;
    },
  };
}

function createStatements(db: Database): Pick<HistoryRepository, 'statement' | 'balanceBefore' | 'chunk'> {
  /** Reads entries as recorded, and nothing of an account that is no longer that of the owner. */
  const readRecorded = (
    owner: string,
    id: string,
    [after, upTo]: readonly [number, number],
    balance: number,
    signal?: AbortSignal,
  ) =>
    db.query(
      (sql) => sql<EntryRow[]>`
        SELECT e.* FROM accounts a CROSS JOIN LATERAL read_entries(a.id, ${after}, ${upTo}, ${balance}) e
        WHERE a.id = ${id} AND ${isOpen(sql, owner)}`,
      { signal, tier: TIER },
    );

  return {
    async statement(owner, id, { by, fromMs, toMs }, lastVersion, signal) {
      const start = fromMs ?? FIRST_MS;
      const [row] = await db.query(
        (sql) => {
          const before = (ms: Fragment) => sql`entry_version_before(id, ${momentOf(sql, ms)}, version)`;
          const balance = (version: Fragment, ms: Fragment) =>
            by === 'recorded'
              ? sql`entry_balance(id, ${version})`
              : sql`effective_balance(id, ${version}, ${ms}, 0, version)`;
          return sql<Clocked<Omit<StatementHead, 'accountId' | 'by' | 'fromMs'>>[]>`
          WITH subject AS MATERIALIZED (
            SELECT id, ledger, name, least(version, ${lastVersion}::bigint) AS version, now_ms,
              ${start}::bigint AS from_ms, coalesce(${toMs}::bigint, now_ms + 1) AS to_ms
            FROM (SELECT *, ${nowMs(sql)} AS now_ms FROM accounts a WHERE id = ${id} AND ${isOpen(sql, owner)}) now
          ), period AS MATERIALIZED (
            SELECT *, ${before(sql`from_ms`)} AS first_version, ${before(sql`to_ms`)} AS up_to_version FROM subject
          )
          SELECT ledger, name, to_ms, now_ms, version AS last_version, first_version, up_to_version,
            ${balance(sql`first_version`, sql`from_ms`)} AS opening_balance,
            ${balance(sql`up_to_version`, sql`to_ms`)} AS closing_balance FROM period`;
        },
        { signal },
      );
      return row ? { accountId: id, by, fromMs, ...row } : null;
    },
    async balanceBefore(owner, { accountId, by, lastVersion }, position, signal) {
      const { version, effectiveMs, effectiveVersion } = position;
      const [row] = await db.query(
        (sql) => sql<{ balance: number }[]>`
          SELECT ${
            by === 'recorded'
              ? sql`entry_balance(a.id, ${version})`
              : sql`effective_balance(a.id, ${version}, ${effectiveMs}, ${effectiveVersion}, ${lastVersion})`
          } AS balance FROM accounts a WHERE a.id = ${accountId} AND ${isOpen(sql, owner)}`,
        { signal },
      );
      return row?.balance ?? null;
    },
    async chunk(owner, head, position, balanceBefore, limit, signal) {
      const { accountId, by, lastVersion, upToVersion, toMs } = head;
      const upTo = Math.min(position.version + limit, upToVersion);
      const isRecordedLast = upTo >= upToVersion;
      const reading =
        upTo > position.version
          ? readRecorded(owner, accountId, [position.version, upTo], balanceBefore, signal)
          : [];
      if (by === 'recorded') {
        const entries = (await reading).map(toEntry);
        if (entries.length === 0 && upTo > position.version) return null;
        const balance = entries.at(-1)?.balance ?? balanceBefore;
        return { entries, balance, isLast: isRecordedLast, position: { ...position, version: upTo } };
      }
      const [recorded, effective] = await Promise.all([
        reading,
        db.query(
          (sql) => sql<Omit<EntryRow, 'balance'>[]>`
            SELECT e.* FROM accounts a CROSS JOIN LATERAL read_effective_entries(a.id, ${lastVersion},
              ${momentOf(sql, position.effectiveMs)}, ${position.effectiveVersion}, ${momentOf(sql, toMs)}, ${limit}) e
            WHERE a.id = ${accountId} AND ${isOpen(sql, owner)}`,
          { signal, tier: TIER },
        ),
      ]);
      if (recorded.length === 0 && upTo > position.version) return null;
      const parts = {
        recorded: recorded.map((row) => ({ ...toOwn(row), isEffective: row.effectiveAt !== null })),
        isRecordedLast,
        effective: effective.map(toOwn),
        isEffectiveLast: effective.length < limit,
      };
      return mergeEntries(parts, position, balanceBefore, limit);
    },
  };
}

function toOwn(row: Omit<EntryRow, 'balance'>): OwnEntry {
  const createdAt = row.createdAt.toISOString();
  return {
    version: row.version,
    net: row.net,
    transferId: row.transferId,
    counterpartyAccountId: row.counterpartyId,
    reference: row.reference,
    createdAt,
    effectiveAt: row.effectiveAt === null ? createdAt : row.effectiveAt.toISOString(),
  };
}

function toEntry(row: EntryRow): Entry {
  const { version, net, ...rest } = toOwn(row);
  return { version, net, balance: row.balance, ...rest };
}
