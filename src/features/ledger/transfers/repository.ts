import { BatchedReads } from '../../../adapters/postgres/batched-reads.ts';
import type { Database } from '../../../adapters/postgres/database.ts';
import { isolates } from '../../../adapters/postgres/isolation.ts';
import { ownedId, ownedIds } from '../../../adapters/postgres/owned-ids.ts';
import { rowsWithin, type SizedRow, takePage } from '../../../adapters/postgres/page-of-bytes.ts';
import { type Fragment, type FragmentTag, sentAtOnce } from '../../../adapters/postgres/query.ts';
import { AbortableSignal } from '../../../utils/abortable.ts';
import type { Hold } from '../hold.ts';
import { asCreated, type HoldRow, holdColumns, toHold } from '../hold-row.ts';
import type { ItemResult, PostRequest, PostResult, Transfer } from '../movement.ts';
import { type TransferRow, toTransfer, transferColumns } from '../transfer-row.ts';
import { type PostedRow, readResults, type StoredItem, storedItems } from './posted-row.ts';
import { arrayOf, exchangeArguments, kindArguments, postingArguments } from './posting-arguments.ts';

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

// About what a transfer has in a page besides its metadata.
const TRANSFER_BYTES = 500;
const FORGET_ROWS_MAX = 5000;

export function createTransferRepository(db: Database): TransferRepository {
  const others = transferColumns(db.fragment);

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

  return {
    ...createPosting(db),
    readSecret: () => readSecret(db),
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

function createPosting(db: Database): Pick<TransferRepository, 'post' | 'waitedMs'> {
  let waitedMs = 0;
  return {
    async post(requests) {
      const items = requests.flatMap((request) => request.orders);
      const args = postingArguments(requests, items);
      const kinds = kindArguments(items);
      const exchanges = exchangeArguments(items);
      const [row] = await db.query(
        (sql) => sql<[PostedRow]>`
          SELECT posted_at, waited_ms, to_json(states) AS states, to_json(outcomes) AS outcomes,
                 to_json(transfer_ids) AS transfer_ids, to_json(ledgers) AS ledgers, to_json(debit_ids) AS debit_ids,
                 to_json(credit_ids) AS credit_ids, to_json(amounts) AS amounts
          FROM ${exchanges === null ? sql`post_movements` : sql`post_with_exchanges`}(
            ${namingLimits(sql, sql`${args.owners}::text[]`)}, ${args.keys}::text[], ${sentAtOnce(args.fingerprints)}::bytea[],
            ${args.atomic}::boolean[], ${args.accounts}::uuid[], ${args.requests}::int[], ${args.ids}::uuid[],
            ${args.otherIds}::uuid[], ${args.debits}::int[], ${args.credits}::int[], ${args.amounts}::bigint[],
            ${args.references}::text[], ${args.metadata}::jsonb[]
            ${args.effectiveAt === null ? sql`` : sql`, p_effective_at => ${args.effectiveAt}::timestamptz[]`}
            ${
              kinds === null
                ? sql``
                : sql`, p_kind => ${kinds.kinds}::text[], p_target => ${kinds.targets}::uuid[],
                  p_seconds => ${kinds.seconds}::int[], p_keeps_rest => ${kinds.keepsRest}::boolean[],
                  p_forces => ${kinds.forces}::boolean[]`
            }
            ${
              exchanges === null
                ? sql``
                : sql`, p_exchange_item => ${exchanges.items}::int[], p_exchange_id => ${exchanges.ids}::uuid[],
                  p_rate => ${exchanges.rates}::numeric[], p_rounding => ${exchanges.roundings}::text[],
                  p_fixed_side => ${exchanges.fixedSides}::text[]`
            })`,
        { tier: 'critical' },
      );
      waitedMs = row.waitedMs;
      const results = readResults(requests, row);
      const stored = storedItems(requests, results);
      return stored.length === 0 ? results : withStored(db, stored, results);
    },
    waitedMs: () => waitedMs,
  };
}

/**
 * Wraps an argument of `post_movements`, so that its outcomes name limits in this transaction. Hosts of the release before
 * do not set that, and get a code that they know.
 */
function namingLimits(sql: FragmentTag, argument: Fragment): Fragment {
  return sql`CASE WHEN set_config('atlas.names_limits', 'on', true) = 'on' THEN ${argument} END`;
}

/** Adds the transfers and holds that were stored before, as they were stored. */
async function withStored(
  db: Database,
  stored: readonly StoredItem[],
  results: readonly PostResult[],
): Promise<PostResult[]> {
  // If one of these fails, the batch runs again. Its keys make that safe.
  // Of any owner: the requests have shown that these are the transfers of their own keys or accounts.
  const isOfHold = ({ kind }: StoredItem) => kind === 'hold' || kind === 'void';
  const idsOf = (those: readonly StoredItem[]) => those.map(({ item }) => item.id);
  const [transfers, holds] = await Promise.all([
    readTransfers(db, idsOf(stored.filter((one) => !isOfHold(one)))),
    readHolds(db, idsOf(stored.filter(isOfHold))),
  ]);
  const found = new Map(
    stored.map((one): [ItemResult, ItemResult] => {
      const { item } = one;
      if (!isOfHold(one)) return [item, { ...item, transfer: transfers.get(item.id) ?? null }];
      const hold = holds.get(item.id)!;
      // A replay returns the hold as it was made, whatever has become of it.
      return [
        item,
        { ...item, hold: one.kind === 'hold' && item.outcome === 'posted' ? asCreated(hold) : hold },
      ];
    }),
  );
  return results.map((result) =>
    result.state === 'reused'
      ? result
      : { ...result, items: result.items.map((item) => found.get(item) ?? item) },
  );
}

async function readTransfers(db: Database, ids: readonly string[]): Promise<Map<string, Transfer>> {
  if (ids.length === 0) return new Map();
  const rows = await db.query(
    (sql) => sql<TransferRow[]>`
      SELECT ${transferColumns(sql)}, metadata FROM transfers WHERE id = ANY (${sentAtOnce(arrayOf(ids))}::uuid[])`,
    { tier: 'critical' },
  );
  return new Map(rows.map((row) => [row.id, toTransfer(row)]));
}

async function readHolds(db: Database, ids: readonly string[]): Promise<Map<string, Hold>> {
  if (ids.length === 0) return new Map();
  const rows = await db.query(
    (sql) => sql<HoldRow[]>`
      SELECT ${holdColumns(sql)}, metadata FROM holds WHERE id = ANY (${sentAtOnce(arrayOf(ids))}::uuid[])`,
    { tier: 'critical' },
  );
  return new Map(rows.map((row) => [row.id, toHold(row)]));
}
