import { auditFragment } from '../../../adapters/postgres/audit.ts';
import { BatchedReads } from '../../../adapters/postgres/batched-reads.ts';
import type { Database } from '../../../adapters/postgres/database.ts';
import { rowsWithin, type SizedRow, takePage } from '../../../adapters/postgres/page-of-bytes.ts';
import { sentAtOnce } from '../../../adapters/postgres/query.ts';
import type { Abortable } from '../../../utils/abortable.ts';
import type { Actor } from '../../../utils/actor.ts';
import type { Account, AccountContent } from './domain.ts';

/** The position in a list of accounts: after this one, by age and id. */
export interface AccountPosition {
  /** Microseconds since 1970. */
  readonly createdMicros: bigint;
  readonly id: string;
}

/** Accounts in PostgreSQL. */
export interface AccountRepository {
  /**
   * Inserts the account. If the id exists, returns the existing account, with `created` false; null if the id is of a
   * file or webhook, or reserved for one.
   */
  create(
    id: string,
    owner: string,
    content: AccountContent,
    actor: Actor,
    signal?: AbortSignal,
  ): Promise<{ account: Account; created: boolean; same: boolean } | null>;
  /** Reads that arrive together share a query: see {@link BatchedReads}. */
  find(id: string, caller?: Abortable): Promise<Account | null>;
  /** A page also ends at `PAGE_BYTES_MAX`. */
  list(
    after: AccountPosition | null,
    limit: number,
    signal?: AbortSignal,
  ): Promise<{ accounts: Account[]; next: AccountPosition | null }>;
}

// About what an account has in a page besides its metadata.
const ACCOUNT_BYTES = 500;

type AccountRow = Omit<Account, 'createdAt'> & { createdAt: Date; createdMicros: number };

export function createAccountRepository(db: Database): AccountRepository {
  // A Date has milliseconds only, and a cursor without the microseconds would skip or repeat rows.
  const columns = db.fragment`id, owner, ledger, name, kind, allow_negative, metadata, debits_posted, credits_posted,
    version, created_at, (extract(epoch FROM created_at) * 1000000)::bigint AS created_micros`;

  const reads = new BatchedReads<Account>({
    async read(ids, signal) {
      const rows = await db.query(
        (sql) =>
          sql<
            AccountRow[]
          >`SELECT ${columns} FROM accounts WHERE id = ANY (${sentAtOnce(`{${ids}}`)}::uuid[])`,
        { signal },
      );
      return rows.map(toAccount);
    },
  });

  return {
    async create(id, owner, { ledger, name, kind, allowNegative, metadata }, actor, signal) {
      const [inserted] = await db.query(
        (sql) => sql<AccountRow[]>`
          WITH opened AS (
            INSERT INTO accounts (id, owner, ledger, name, kind, allow_negative, metadata)
            VALUES (${id}, ${owner}, ${ledger}, ${name}, ${kind}, ${allowNegative}, ${sql.json(metadata)})
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
              'allowNegative', allow_negative) FROM opened`,
          )})
          SELECT ${columns} FROM opened`,
        { signal },
      );
      if (inserted) return { account: toAccount(inserted), created: true, same: true };
      const [found] = await db.query(
        (sql) => sql<(AccountRow & { same: boolean })[]>`
          SELECT ${columns}, owner = ${owner} AND ledger = ${ledger} AND name IS NOT DISTINCT FROM ${name}::text
            AND kind IS NOT DISTINCT FROM ${kind}::text
            AND allow_negative = ${allowNegative} AND metadata = ${sql.json(metadata)} AS same
          FROM accounts WHERE id = ${id}`,
        { signal },
      );
      if (!found) return null;
      const { same, ...row } = found;
      return { account: toAccount(row), created: false, same };
    },
    find: (id, caller) => reads.find(id, caller),
    async list(after, limit, signal) {
      const younger =
        after &&
        db.fragment`WHERE (created_at, id) > ('epoch'::timestamptz + ${String(after.createdMicros)}::bigint * interval '1 microsecond',
            ${after.id}::uuid)`;
      const rows = await db.query(
        (sql) => sql<(AccountRow & SizedRow)[]>`
          SELECT ${columns}, bytes_so_far FROM (${rowsWithin(sql, {
            source: sql`SELECT * FROM accounts ${younger ?? sql``} ORDER BY created_at, id LIMIT ${limit + 1}`,
            order: sql`created_at, id`,
            document: sql`metadata`,
            otherBytes: ACCOUNT_BYTES,
          })}) page ORDER BY nth`,
        { signal },
      );
      const { page, hasMore } = takePage(rows, limit);
      const last = page.at(-1);
      const next = hasMore && last ? { createdMicros: BigInt(last.createdMicros), id: last.id } : null;
      const accounts = page.map(({ bytesSoFar: _, ...row }) => toAccount(row));
      return { accounts, next };
    },
  };
}

function toAccount({ createdMicros: _, ...row }: AccountRow): Account {
  return { ...row, createdAt: row.createdAt.toISOString() };
}
