import { auditFragment } from '../../../adapters/postgres/audit.ts';
import { BatchedReads } from '../../../adapters/postgres/batched-reads.ts';
import type { Database, QueryOptions } from '../../../adapters/postgres/database.ts';
import { isolates } from '../../../adapters/postgres/isolation.ts';
import { idOf, ownedId, readerOf } from '../../../adapters/postgres/owned-ids.ts';
import { rowsWithin, type SizedRow, takePage } from '../../../adapters/postgres/page-of-bytes.ts';
import { type Fragment, type SqlTag, sentAtOnce } from '../../../adapters/postgres/query.ts';
import type { Expected } from '../../../http/etag.ts';
import type { Abortable } from '../../../utils/abortable.ts';
import type { Actor } from '../../../utils/actor.ts';
import { Turns } from '../../../utils/turns.ts';
import {
  ACCEPTS_UP_TO_DEFAULT,
  type AcceptanceChange,
  type AcceptsFrom,
  type Account,
  type NewAccount,
} from '../account.ts';
import type { AgePosition } from '../age-cursor.ts';
import { createdMicros, nextByAge, positionOf } from '../age-order.ts';

/**
 * Accounts in PostgreSQL. While organizations are isolated, an owner finds only its own; otherwise everybody finds all.
 */
export interface AccountRepository {
  /**
   * Inserts the account. If the id exists, returns the existing account, with `created` false; null if the id is of a
   * file or webhook, or reserved for one. Whom it accepts is not compared, as it may have changed since.
   */
  create(
    id: string,
    owner: string,
    content: NewAccount,
    actor: Actor,
    options?: QueryOptions,
  ): Promise<{ account: Account; created: boolean; same: boolean } | null>;
  /** Reads that arrive together share a query: see {@link BatchedReads}. */
  find(owner: string, id: string, caller?: Abortable): Promise<Account | null>;
  /** Returns null if the owner has no such account, in one of these revisions. */
  accept(
    owner: string,
    id: string,
    expected: Expected,
    change: AcceptanceChange,
    actor: Actor,
    signal?: AbortSignal,
  ): Promise<Account | null>;
  /** A page also ends at `PAGE_BYTES_MAX`. */
  list(
    owner: string,
    after: AgePosition | null,
    limit: number,
    signal?: AbortSignal,
  ): Promise<{ accounts: Account[]; next: AgePosition | null }>;
  /** Returns the oldest account of all owners, for the start and for health. Callers never see it. */
  oldest(signal?: AbortSignal): Promise<Account | null>;
}

// About what an account has in a page besides its metadata.
const ACCOUNT_BYTES = 500;

type AccountRow = Omit<Account, 'createdAt'> & { createdAt: Date; createdMicros: number };

export function createAccountRepository(db: Database): AccountRepository {
  return { ...createReading(db), ...createWriting(db) };
}

function columnsOf(db: Database): Fragment {
  return db.fragment`id, owner, ledger, name, kind, allow_negative, metadata, accepts_from,
    accepts_up_to, debits_posted, credits_posted, debits_pending, credits_pending, version, revision, created_at,
    ${createdMicros(db.fragment)}`;
}

function createReading(db: Database): Pick<AccountRepository, 'find' | 'list' | 'oldest'> {
  const columns = columnsOf(db);
  const reads = new BatchedReads<Account>({
    async read(owned, signal) {
      const readers = [...new Set(owned.map(readerOf))];
      const isMixed = readers.length > 1;
      const rows = await db.query(
        (sql) => sql<(AccountRow & { isOpen?: boolean })[]>`
          SELECT ${columns} ${isMixed ? sql`, NOT ${isolates(sql)} AS is_open` : sql``} FROM accounts
          WHERE id = ANY (${sentAtOnce(`{${owned.map(idOf)}}`)}::uuid[])
            AND (owner = ANY (${readers}::text[]) OR NOT ${isolates(sql)})`,
        { signal },
      );
      // For one reader, PostgreSQL has decided. Probing for each pair would cost it half as much again.
      const accountOf = new Map(
        rows.map(({ isOpen = !isMixed, ...row }) => [row.id, { isOpen, account: toAccount(row) }]),
      );
      return owned.flatMap((one) => {
        const found = accountOf.get(idOf(one));
        return found && (found.isOpen || found.account.owner === readerOf(one))
          ? [[one, found.account] as const]
          : [];
      });
    },
  });

  return {
    find: (owner, id, caller) => reads.find(ownedId(owner, id), caller),
    async list(owner, after, limit, signal) {
      const younger = after && db.fragment`AND (created_at, id) > ${positionOf(db.fragment, after)}`;
      const rows = await db.query(
        (sql) => {
          // Each branch reads an index of its own, and only one of them is run.
          const branch = (condition: Fragment) => sql`
          (SELECT * FROM accounts WHERE ${condition} ${younger ?? sql``} ORDER BY created_at, id LIMIT ${limit + 1})`;
          return sql<(AccountRow & SizedRow)[]>`
          SELECT ${columns}, bytes_so_far FROM (${rowsWithin(sql, {
            source: sql`${branch(sql`${isolates(sql)} AND owner = ${owner}`)} UNION ALL ${branch(sql`NOT ${isolates(sql)}`)}`,
            order: sql`created_at, id`,
            document: sql`metadata`,
            otherBytes: ACCOUNT_BYTES,
          })}) page ORDER BY nth`;
        },
        { signal },
      );
      const { page, hasMore } = takePage(rows, limit);
      const accounts = page.map(({ bytesSoFar: _, ...row }) => toAccount(row));
      return { accounts, next: nextByAge(page, hasMore) };
    },
    async oldest(signal) {
      const [row] = await db.query(
        (sql) => sql<AccountRow[]>`SELECT ${columns} FROM accounts ORDER BY created_at, id LIMIT 1`,
        { signal },
      );
      return row ? toAccount(row) : null;
    },
  };
}

function createWriting(db: Database): Pick<AccountRepository, 'create' | 'accept'> {
  const columns = columnsOf(db);
  // A batch of payments waits for the changes of its accounts that came before it, and everybody waits for the batch.
  const turns = new Turns();
  return {
    async create(
      id,
      owner,
      {
        ledger,
        name,
        kind,
        allowNegative,
        metadata,
        acceptsFrom = null,
        acceptsUpTo = ACCEPTS_UP_TO_DEFAULT,
      },
      actor,
      options,
    ) {
      const [inserted] = await db.query(
        (sql) => sql<AccountRow[]>`
          WITH opened AS (
            INSERT INTO accounts (id, owner, ledger, name, kind, allow_negative, metadata, accepts_from, accepts_up_to)
            VALUES (${id}, ${owner}, ${ledger}, ${name}, ${kind}, ${allowNegative}, ${sql.json(metadata)},
              ${jsonOrNull(sql, acceptsFrom)}, ${acceptsUpTo})
            ON CONFLICT (id) DO NOTHING RETURNING *
          ), event AS (
            INSERT INTO outbox (owner, type, key, sequence, occurred_at, data)
            SELECT owner, 'account.opened.v1', id, 0, created_at, jsonb_build_object('accountId', id, 'ledger', ledger,
              'name', name, 'kind', kind, 'allowNegative', allow_negative, 'metadata', metadata) FROM opened
          ), audited AS (${auditFragment(
            db.fragment,
            actor,
            ['account', 'created'],
            db.fragment`SELECT owner, id, NULL::jsonb, jsonb_build_object('ledger', ledger, 'name', name, 'kind', kind,
              'allowNegative', allow_negative, 'acceptsFrom', accepts_from, 'acceptsUpTo', accepts_up_to) FROM opened`,
          )})
          SELECT ${columns} FROM opened`,
        options,
      );
      if (inserted) return { account: toAccount(inserted), created: true, same: true };
      const [found] = await db.query(
        (sql) => sql<(AccountRow & { same: boolean })[]>`
          SELECT ${columns}, owner = ${owner} AND ledger = ${ledger} AND name IS NOT DISTINCT FROM ${name}::text
            AND kind IS NOT DISTINCT FROM ${kind}::text
            AND allow_negative = ${allowNegative} AND metadata = ${sql.json(metadata)} AS same
          FROM accounts WHERE id = ${id}`,
        options,
      );
      if (!found) return null;
      const { same, ...row } = found;
      return { account: toAccount(row), created: false, same };
    },
    async accept(owner, id, expected, { acceptsFrom, acceptsUpTo }, actor, signal) {
      const content = db.fragment`jsonb_build_object('acceptsFrom', accepts_from, 'acceptsUpTo', accepts_up_to)`;
      const change = () =>
        db.query(
          (sql) => sql<AccountRow[]>`
          WITH former AS (
            SELECT ${content} AS before FROM accounts
            WHERE id = ${id} AND owner = ${owner}
              ${expected === 'any' ? sql`` : sql`AND revision = ANY (${[...expected]}::bigint[])`} FOR NO KEY UPDATE
          ), changed AS (
            UPDATE accounts SET revision = revision + 1,
              accepts_from = ${acceptsFrom === undefined ? sql`accepts_from` : sql`${jsonOrNull(sql, acceptsFrom)}`},
              accepts_up_to = coalesce(${acceptsUpTo ?? null}, accepts_up_to)
            FROM former WHERE id = ${id} RETURNING accounts.*
          ), audited AS (${auditFragment(
            db.fragment,
            actor,
            ['account', 'updated'],
            db.fragment`SELECT owner, id, before, ${content} FROM changed, former WHERE before <> ${content}`,
          )})
          SELECT ${columns} FROM changed`,
          { signal },
        );
      const [row] = await turns.run(owner, change, signal);
      return row ? toAccount(row) : null;
    },
  };
}

function jsonOrNull(sql: SqlTag, value: AcceptsFrom) {
  return value === null ? null : sql.json(value);
}

function toAccount({ createdMicros: _, ...row }: AccountRow): Account {
  return { ...row, createdAt: row.createdAt.toISOString() };
}
