import { auditFragment } from '../../../adapters/postgres/audit.ts';
import { BatchedReads } from '../../../adapters/postgres/batched-reads.ts';
import type { Database, QueryOptions } from '../../../adapters/postgres/database.ts';
import { isolates } from '../../../adapters/postgres/isolation.ts';
import { idOf, ownedId, readerOf } from '../../../adapters/postgres/owned-ids.ts';
import { rowsWithin, type SizedRow, takePage } from '../../../adapters/postgres/page-of-bytes.ts';
import { databaseCause, databaseErrorCode } from '../../../adapters/postgres/postgres.ts';
import { type Fragment, type SqlTag, sentAtOnce } from '../../../adapters/postgres/query.ts';
import type { Expected } from '../../../http/etag.ts';
import type { Abortable } from '../../../utils/abortable.ts';
import type { Actor } from '../../../utils/actor.ts';
import { createReservedId } from '../../../utils/reserved-id.ts';
import { Turns } from '../../../utils/turns.ts';
import {
  ACCEPTS_UP_TO_DEFAULT,
  type AcceptsFrom,
  type Account,
  type AccountChange,
  type AccountToOpen,
  type NewAccount,
} from '../account.ts';
import type { ChangeKind, ChangeRefusal, ParentRefusal } from '../account-refusals.ts';
import type { AgePosition } from '../age-cursor.ts';
import { nextByAge, positionOf } from '../age-order.ts';
import { openedContent, openedEvent } from '../opened-accounts.ts';
import { type AccountRow, accountColumns, toAccount } from './account-row.ts';

/**
 * Accounts in PostgreSQL. While organizations are isolated, an owner finds only its own; otherwise everybody finds all.
 */
export interface AccountRepository {
  /**
   * Inserts the account. If the id exists, returns the existing account, with `created` false; null if the id is of a
   * file or webhook, or reserved for one. What may have changed since is not compared. If it cannot be a part of its
   * parent, returns why.
   */
  create(
    id: string,
    owner: string,
    content: NewAccount,
    actor: Actor,
    options?: QueryOptions,
  ): Promise<{ account: Account; created: boolean; same: boolean } | { refusal: ParentRefusal } | null>;
  /** Opens all of the accounts, parents before their children, or returns why it opened none. */
  createAll(
    owner: string,
    accounts: readonly AccountToOpen[],
    actor: Actor,
    options?: QueryOptions,
  ): Promise<ParentRefusal | null>;
  /** Changes an account, with its event. What is changed to what it is already is no change. */
  change(
    owner: string,
    id: string,
    expected: Expected,
    change: AccountChange & { readonly closed?: boolean },
    kind: ChangeKind,
    actor: Actor,
    signal?: AbortSignal,
  ): Promise<{ account: Account } | { refusal: ChangeRefusal }>;
  /** Reads that arrive together share a query: see {@link BatchedReads}. */
  find(owner: string, id: string, caller?: Abortable): Promise<Account | null>;
  /** Only those of a parent, if it is given. A page also ends at `PAGE_BYTES_MAX`. */
  list(
    owner: string,
    after: AgePosition | null,
    limit: number,
    signal?: AbortSignal,
    parentId?: string,
  ): Promise<{ accounts: Account[]; next: AgePosition | null }>;
  /** Returns the oldest account of all owners, for the start and for health. Callers never see it. */
  oldest(signal?: AbortSignal): Promise<Account | null>;
}

// About what an account has in a page besides its metadata.
const ACCOUNT_BYTES = 700;
const PARENT_REFUSED = 'AT001';

export function createAccountRepository(db: Database): AccountRepository {
  return { ...createReading(db), ...createOpening(db), change: createChanging(db) };
}

function createReading(db: Database): Pick<AccountRepository, 'find' | 'list' | 'oldest'> {
  const columns = accountColumns(db.fragment);
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
    async list(owner, after, limit, signal, parentId) {
      const younger = after && db.fragment`AND (created_at, id) > ${positionOf(db.fragment, after)}`;
      const below = parentId && db.fragment`AND parent_id = ${parentId}`;
      const rows = await db.query(
        (sql) => {
          // Each branch reads an index of its own, and only one of them is run.
          const branch = (condition: Fragment) => sql`
          (SELECT * FROM accounts WHERE ${condition} ${below || sql``} ${younger ?? sql``}
            ORDER BY created_at, id LIMIT ${limit + 1})`;
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

function createOpening(db: Database): Pick<AccountRepository, 'create' | 'createAll'> {
  const columns = accountColumns(db.fragment);
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
        parentId = null,
        balanceMin = null,
        balanceMax = null,
      },
      actor,
      options,
    ) {
      const opening = db.query(
        (sql) => sql<AccountRow[]>`
          WITH opened AS (
            INSERT INTO accounts (id, owner, ledger, name, kind, allow_negative, metadata, accepts_from, accepts_up_to,
              parent_id, balance_min, balance_max)
            VALUES (${id}, ${owner}, ${ledger}, ${name}, ${kind}, ${allowNegative}, ${sql.json(metadata)},
              ${jsonOrNull(sql, acceptsFrom)}, ${acceptsUpTo}, ${parentId}, ${balanceMin}, ${balanceMax})
            ON CONFLICT (id) DO NOTHING RETURNING *
          ), ${recordOpened(db, actor)}
          SELECT ${columns} FROM opened`,
        options,
      );
      const outcome = await opening.catch((error) => ({ refusal: parentRefusalOf(error) }));
      if ('refusal' in outcome) return outcome;
      const [inserted] = outcome;
      if (inserted) return { account: toAccount(inserted), created: true, same: true };
      const [found] = await db.query(
        (sql) => sql<(AccountRow & { same: boolean })[]>`
          SELECT ${columns}, owner = ${owner} AND ledger = ${ledger} AND kind IS NOT DISTINCT FROM ${kind}::text
            AND allow_negative = ${allowNegative}
            AND (name IS NOT DISTINCT FROM ${name}::text AND metadata = ${sql.json(metadata)}
              OR EXISTS (SELECT FROM changed_accounts WHERE account_id = accounts.id AND is_redescribed)) AS same
          FROM accounts WHERE id = ${id}`,
        options,
      );
      if (!found) return null;
      const { same, ...row } = found;
      return { account: toAccount(row), created: false, same };
    },
    createAll: (owner, accounts, actor, options) =>
      db
        .query(
          (sql) => sql`
          WITH opened AS (
            INSERT INTO accounts (id, owner, ledger, name, kind, allow_negative, metadata, parent_id, balance_min,
              balance_max)
            SELECT (a ->> 'id')::uuid, ${owner}, a ->> 'ledger', a ->> 'name', a ->> 'kind',
              (a ->> 'allowNegative')::boolean, a -> 'metadata', (a ->> 'parentId')::uuid,
              (a ->> 'balanceMin')::bigint, (a ->> 'balanceMax')::bigint
            FROM jsonb_array_elements(${JSON.stringify(accounts)}::text::jsonb) WITH ORDINALITY given (a, no)
            ORDER BY no RETURNING *
          ), ${recordOpened(db, actor)}
          SELECT FROM opened`,
          options,
        )
        .then(() => null, parentRefusalOf),
  };
}

/** Returns the statements for a `WITH` that write the event and the audit entry of each row of `opened`. */
function recordOpened({ fragment }: Database, actor: Actor): Fragment {
  return fragment`${openedEvent(fragment)},
    audited AS (${auditFragment(fragment, actor, ['account', 'created'], openedContent(fragment))})`;
}

/** Returns why the trigger that checks parents has refused one, and throws any other error. */
function parentRefusalOf(error: unknown): ParentRefusal {
  const cause = databaseCause(error);
  if (databaseErrorCode(cause) !== PARENT_REFUSED) throw error;
  return (cause as Error).message as ParentRefusal;
}

function createChanging(db: Database): AccountRepository['change'] {
  // A batch of payments waits for the changes of its accounts that came before it, and everybody waits for the batch.
  const turns = new Turns();
  return async (owner, id, expected, change, kind, actor, signal) => {
    const revisions = expected === 'any' ? null : [...expected];
    const write = () =>
      db.query(
        (sql) => sql<[AccountRow & { outcome: ChangeRefusal | 'changed' | 'unchanged' }]>`
          WITH done AS (
            SELECT * FROM change_account(${owner}, ${id}, ${revisions}::bigint[],
              ${JSON.stringify(change)}::text::jsonb, ${createReservedId('account change')})
          ), audited AS (${auditFragment(
            db.fragment,
            actor,
            ['account', kind],
            db.fragment`SELECT (account).owner, (account).id, before, after FROM done WHERE outcome = 'changed'`,
          )})
          SELECT outcome, ${accountColumns(db.fragment)} FROM done CROSS JOIN LATERAL (SELECT (done.account).*) a`,
        { signal },
      );
    const [{ outcome, ...row }] = await turns.run(owner, write, signal);
    if (outcome !== 'changed' && outcome !== 'unchanged') return { refusal: outcome };
    return { account: toAccount(row) };
  };
}

function jsonOrNull(sql: SqlTag, value: AcceptsFrom) {
  return value === null ? null : sql.json(value);
}
