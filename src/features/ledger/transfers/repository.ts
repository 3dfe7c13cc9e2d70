import { BatchedReads } from '../../../adapters/postgres/batched-reads.ts';
import type { Database } from '../../../adapters/postgres/database.ts';
import { isolates } from '../../../adapters/postgres/isolation.ts';
import { ownedId, ownedIds } from '../../../adapters/postgres/owned-ids.ts';
import { rowsWithin, type SizedRow, takePage } from '../../../adapters/postgres/page-of-bytes.ts';
import { type Fragment, type FragmentTag, sentAtOnce } from '../../../adapters/postgres/query.ts';
import { AbortableSignal } from '../../../utils/abortable.ts';
import {
  type ItemResult,
  type Outcome,
  type PostRequest,
  type PostResult,
  sortMembers,
  type Transfer,
  type TransferContent,
  type TransferOrder,
} from './domain.ts';

/** A page of an account's transfers, newest first. The next page is before `nextVersion`. */
export interface TransferPage {
  readonly transfers: readonly Transfer[];
  readonly nextVersion: number | null;
}

/**
 * Transfers in PostgreSQL. While organizations are isolated, an owner sees those of its accounts, without the metadata
 * of what others paid to them; otherwise everybody sees all.
 */
export interface TransferRepository {
  /** Posts requests in one transaction, in order. Throws like `Database.query`. */
  post(requests: readonly PostRequest[]): Promise<PostResult[]>;
  /** Reads that arrive together share a query: see {@link BatchedReads}. */
  find(owner: string, id: string, signal?: AbortSignal): Promise<Transfer | null>;
  /** Whether the key belongs to a request, so that nothing new would be posted under it. */
  isKeyUsed(owner: string, key: string): Promise<boolean>;
  /** A page also ends at `PAGE_BYTES_MAX`. */
  listByAccount(
    owner: string,
    accountId: string,
    beforeVersion: number | null,
    limit: number,
    signal?: AbortSignal,
  ): Promise<TransferPage>;
  /** Reads the secret that ids are derived with. */
  readSecret(): Promise<Uint8Array>;
  /** Returns the milliseconds that the last batch queued behind those of other workers. */
  waitedMs(): number;
  /** Deletes idempotency records older than `days`, in bounded steps. Returns how many. */
  forgetKeys(days: number): Promise<number>;
}

/** The row of `post_orders`, where null stands for the usual case. */
interface PostedRow {
  postedAt: Date;
  waitedMs: number;
  states: ('fresh' | 'replayed' | 'reused')[] | null;
  outcomes: (Outcome | null)[] | null;
  transferIds: string[] | null;
  ledgers: (string | null)[];
}

type TransferRow = Omit<Transfer, 'createdAt'> & { createdAt: Date };

// About what a transfer has in a page besides its metadata.
const TRANSFER_BYTES = 500;
const FORGET_ROWS_MAX = 5000;

export function createTransferRepository(db: Database): TransferRepository {
  const others = db.fragment`id, debit_account_id, credit_account_id, ledger, amount, reference, created_at`;

  const reads = new BatchedReads<Transfer>({
    async read(owned, signal) {
      const rows = await db.query(
        (sql) => sql<(TransferRow & { nth: number })[]>`
          SELECT found.*, nth FROM ${ownedIds(sql, owned)} CROSS JOIN LATERAL (
            SELECT ${others}, CASE
                WHEN NOT ${isolates(sql)} OR ${ownerOf(sql, sql`debit_account_id`)} = wanted.reader THEN metadata
                WHEN ${ownerOf(sql, sql`credit_account_id`)} = wanted.reader THEN '{}' END AS metadata
              FROM transfers WHERE id = wanted.id LIMIT 1) found
           WHERE metadata IS NOT NULL`,
        { signal },
      );
      return rows.map((row) => [owned[row.nth - 1]!, toTransfer(row)] as const);
    },
  });

  let waitedMs = 0;

  async function post(requests: readonly PostRequest[]): Promise<PostResult[]> {
    const items = requests.flatMap((request) => request.orders);
    const accounts = numberAccounts(items);
    const requestNumbers = requests.flatMap((request, i) => request.orders.map(() => i + 1));
    const [row] = await db.query(
      (sql) => sql<[PostedRow]>`
      SELECT posted_at, extract(epoch FROM posted_at - statement_timestamp())::float8 * 1000 AS waited_ms,
             to_json(states) AS states, to_json(outcomes) AS outcomes,
             to_json(transfer_ids) AS transfer_ids, to_json(ledgers) AS ledgers
      FROM post_orders(
        ${quotedArrayOf(requests.map((request) => request.owner))}::text[],
        ${quotedArrayOf(requests.map((request) => request.key))}::text[],
        ${sentAtOnce(arrayOf(requests.map((request) => `"\\\\x${request.fingerprint}"`)))}::bytea[],
        ${arrayOf(requests.map((request) => request.atomic))}::boolean[],
        ${arrayOf([...accounts.keys()])}::uuid[],
        ${arrayOf(requestNumbers)}::int[],
        ${arrayOf(items.map((item) => item.id))}::uuid[],
        ${arrayOf(items.map((item) => item.formerId ?? 'NULL'))}::uuid[],
        ${arrayOf(items.map((item) => accounts.get(item.debitAccountId)!))}::int[],
        ${arrayOf(items.map((item) => accounts.get(item.creditAccountId)!))}::int[],
        ${arrayOf(items.map((item) => item.amount))}::bigint[],
        ${quotedArrayOf(items.map((item) => item.reference))}::text[],
        ${quotedArrayOf(items.map((item) => JSON.stringify(item.metadata)))}::jsonb[])`,
      { tier: 'critical' },
    );
    waitedMs = row.waitedMs;
    return toResults(requests, row);
  }

  /** Returns the results in order. Transfers that existed before are read as they were stored. */
  async function toResults(requests: readonly PostRequest[], row: PostedRow): Promise<PostResult[]> {
    const results = readResults(requests, row);
    const old = results.flatMap((result) =>
      result.state === 'reused' ? [] : result.items.filter(isOld(result.state)),
    );
    if (old.length === 0) return results;
    // If this fails, the batch runs again. Its keys make that safe.
    // Of any owner: the requests have shown that these are the transfers of their own keys or accounts.
    const ids = old.map(({ id }) => id);
    const rows = await db.query(
      (sql) => sql<TransferRow[]>`
        SELECT ${others}, metadata FROM transfers WHERE id = ANY (${sentAtOnce(arrayOf(ids))}::uuid[])`,
      { tier: 'critical' },
    );
    const stored = new Map(rows.map((found) => [found.id, toTransfer(found)]));
    return results.map((result) => {
      if (result.state === 'reused') return result;
      const isStored = isOld(result.state);
      const items = result.items.map((item) =>
        isStored(item) ? { ...item, transfer: stored.get(item.id) ?? null } : item,
      );
      return { ...result, items };
    });
  }

  return {
    post,
    readSecret: () => readSecret(db),
    waitedMs: () => waitedMs,
    find: (owner, id, signal) => reads.find(ownedId(owner, id), signal && new AbortableSignal(signal)),
    async listByAccount(owner, accountId, beforeVersion, limit, signal) {
      // Two index scans in version order, merged: an OR over both columns would read and sort every transfer.
      const before = beforeVersion ?? Number.MAX_SAFE_INTEGER;
      // PostgreSQL evaluates it once, before it reads any transfer.
      const isOpen = (sql: FragmentTag) =>
        sql`(NOT ${isolates(sql)} OR ${ownerOf(sql, sql`${accountId}`)} = ${owner})`;
      const rows = await db.query(
        (sql) => sql<(TransferRow & SizedRow & { version: number })[]>`
          SELECT ${others}, metadata, version, bytes_so_far FROM (${rowsWithin(sql, {
            source: sql`
              SELECT * FROM (
                (SELECT ${others}, debit_version AS version, metadata FROM transfers
                  WHERE debit_account_id = ${accountId} AND debit_version < ${before} AND ${isOpen(sql)}
                  ORDER BY debit_version DESC LIMIT ${limit + 1})
                UNION ALL
                (SELECT ${others}, credit_version AS version,
                        CASE WHEN ${isolates(sql)} AND ${ownerOf(sql, sql`debit_account_id`)} IS DISTINCT FROM ${owner}
                          THEN '{}' ELSE metadata END AS metadata FROM transfers
                  WHERE credit_account_id = ${accountId} AND credit_version < ${before} AND ${isOpen(sql)}
                  ORDER BY credit_version DESC LIMIT ${limit + 1})
              ) sides ORDER BY version DESC LIMIT ${limit + 1}`,
            order: sql`version DESC`,
            document: sql`metadata`,
            otherBytes: TRANSFER_BYTES,
          })}) page ORDER BY nth`,
        { signal },
      );
      const { page, hasMore } = takePage(rows, limit);
      return { transfers: page.map(toTransfer), nextVersion: hasMore ? page.at(-1)!.version : null };
    },
    ...createKeyRecords(db),
  };
}

function ownerOf(sql: FragmentTag, accountId: Fragment): Fragment {
  return sql`(SELECT a.owner FROM accounts a WHERE a.id = ${accountId})`;
}

function createKeyRecords(db: Database): Pick<TransferRepository, 'isKeyUsed' | 'forgetKeys'> {
  return {
    async isKeyUsed(owner, key) {
      const [row] = await db.query(
        (sql) => sql<[{ used: boolean }]>`
          SELECT EXISTS (SELECT FROM idempotency_keys WHERE owner = ${owner} AND key = ${key}) AS used`,
      );
      return row.used;
    },
    async forgetKeys(days) {
      let forgotten = 0;
      // In steps, so that no statement holds many locks or reaches its timeout. The last step is not full.
      for (let count = FORGET_ROWS_MAX; count === FORGET_ROWS_MAX; forgotten += count) {
        ({ count } = await db.query(
          (sql) => sql`
          DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM idempotency_keys WHERE created_at < now() - make_interval(days => ${days})
            LIMIT ${FORGET_ROWS_MAX}))`,
        ));
      }
      return forgotten;
    },
  };
}

async function readSecret(db: Database): Promise<Uint8Array> {
  const [row] = await db.query((sql) => sql<[{ secret: Uint8Array }]>`SELECT secret FROM transfer_id_secret`);
  return row.secret;
}

/** Whether a transfer existed before, by its id or by a replay of its request. */
function isOld(state: 'fresh' | 'replayed'): (item: ItemResult) => boolean {
  return ({ outcome }) => outcome === 'exists' || (state === 'replayed' && outcome === 'posted');
}

function readResults(requests: readonly PostRequest[], row: PostedRow): PostResult[] {
  const { states, outcomes, transferIds, ledgers } = row;
  const createdAt = row.postedAt.toISOString();
  let i = 0;
  return requests.map((request, r): PostResult => {
    const state = states === null ? 'fresh' : states[r]!;
    if (state === 'reused') {
      i += request.orders.length;
      return { state };
    }
    const items = request.orders.map((order): ItemResult => {
      const at = i++;
      const outcome = outcomes === null ? 'posted' : outcomes[at]!;
      const id = transferIds === null ? order.id : transferIds[at]!;
      if (outcome !== 'posted' || state === 'replayed') return { outcome, id, transfer: null };
      const ledger = ledgers.length === 1 ? ledgers[0]! : ledgers[at]!;
      return { outcome, id, transfer: transferOf(order, ledger, createdAt) };
    });
    return { state, items };
  });
}

function toTransfer(row: TransferRow): Transfer {
  return transferOf(row, row.ledger, row.createdAt.toISOString());
}

function transferOf(order: TransferContent, ledger: string, createdAt: string): Transfer {
  return {
    id: order.id,
    debitAccountId: order.debitAccountId,
    creditAccountId: order.creditAccountId,
    ledger,
    amount: order.amount,
    reference: order.reference,
    metadata: sortMembers(order.metadata),
    createdAt,
  };
}

/** Numbers the accounts from 1, in id order, which is the order of locking. */
function numberAccounts(orders: readonly TransferOrder[]): Map<string, number> {
  const ids = new Set<string>();
  for (const { debitAccountId, creditAccountId } of orders) ids.add(debitAccountId).add(creditAccountId);
  return new Map([...ids].sort().map((id, i) => [id, i + 1]));
}

// Arrays are sent as literals and returned as JSON: the driver would call a function per element.
function arrayOf(values: readonly (string | number | boolean)[]): string {
  return `{${values.join(',')}}`;
}

function quotedArrayOf(values: readonly (string | null)[]): string {
  return `{${values.map((value) => (value === null ? 'NULL' : `"${value.replace(/["\\]/g, '\\$&')}"`)).join(',')}}`;
}
