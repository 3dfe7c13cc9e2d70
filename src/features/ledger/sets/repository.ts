import type { Database } from '../../../adapters/postgres/database.ts';
import { isolates } from '../../../adapters/postgres/isolation.ts';
import { rowsWithin, type SizedRow, takePage } from '../../../adapters/postgres/page-of-bytes.ts';
import { type Fragment, type FragmentTag, sentAtOnce } from '../../../adapters/postgres/query.ts';
import type { AgePosition } from '../age-cursor.ts';
import { createdMicros, nextByAge, positionOf } from '../age-order.ts';
import type { Exchange } from '../exchange.ts';
import { sortMembers } from '../movement.ts';

/** A page of an account's exchanges, newest first. The next page is before `next`. */
export interface ExchangePage {
  readonly exchanges: readonly Exchange[];
  readonly next: AgePosition | null;
}

/**
 * Exchanges in PostgreSQL. While organizations are isolated, an owner sees those of its accounts that belonged to the
 * organization that exchanged: who is paid by another one sees the transfer only. Whose account did not pay, because it
 * was moved since, sees no metadata. Without isolation everybody sees all.
 */
export interface ExchangeRepository {
  find(owner: string, id: string, signal?: AbortSignal): Promise<Exchange | null>;
  /** Finds the exchange that a transfer is part of. */
  findByTransfer(owner: string, transferId: string, signal?: AbortSignal): Promise<Exchange | null>;
  /** Of an account that paid or was paid, or of one that it went through. A page also ends at `PAGE_BYTES_MAX`. */
  listByAccount(
    owner: string,
    accountId: string,
    before: AgePosition | null,
    limit: number,
    signal?: AbortSignal,
  ): Promise<ExchangePage>;
  /** Returns the exchanges by the transfers of their sources. Of any owner: for who has just posted them. */
  readBySource(transferIds: readonly string[]): Promise<ReadonlyMap<string, Exchange>>;
}

type ExchangeRow = Omit<Exchange, 'createdAt'> & { createdAt: Date };

// About what an exchange has in a page besides its metadata.
const EXCHANGE_BYTES = 1000;

export function createExchangeRepository(db: Database): ExchangeRepository {
  const findOne = async (owner: string, condition: Fragment, signal: AbortSignal | undefined) => {
    const [row] = await db.query(
      (sql) => sql<ExchangeRow[]>`
        SELECT ${columns(sql)}, ${metadataFor(sql, owner)} AS metadata FROM ${joined(sql)}
         WHERE ${condition} AND (NOT ${isolates(sql)} OR EXISTS (
           SELECT FROM account_exchanges e JOIN accounts a ON a.id = e.account_id
            WHERE e.account_id IN (x.debit_account_id, x.source_liquidity_account_id, x.target_liquidity_account_id,
                                   x.credit_account_id)
              AND (e.created_at, e.exchange_id) = (x.created_at, x.id) AND a.owner = ${owner}))`,
      { signal },
    );
    return row ? toExchange(row) : null;
  };

  return {
    find: (owner, id, signal) => findOne(owner, db.fragment`x.id = ${id}`, signal),
    findByTransfer(owner, transferId, signal) {
      // Not an OR, which would leave the choice of indexes to the planner.
      const ids = db.fragment`SELECT id FROM exchanges WHERE source_transfer_id = ${transferId}
        UNION ALL SELECT id FROM exchanges WHERE target_transfer_id = ${transferId}`;
      return findOne(owner, db.fragment`x.id IN (${ids})`, signal);
    },
    async listByAccount(owner, accountId, before, limit, signal) {
      const older = before && db.fragment`AND (created_at, exchange_id) < ${positionOf(db.fragment, before)}`;
      const rows = await db.query(
        (sql) => sql<(ExchangeRow & SizedRow & { createdMicros: number })[]>`
          SELECT page.*, ${createdMicros(sql)} FROM (${rowsWithin(sql, {
            source: sql`
              SELECT ${columns(sql)}, ${metadataFor(sql, owner)} AS metadata FROM (
                SELECT exchange_id FROM account_exchanges WHERE account_id = ${accountId}
                  AND (NOT ${isolates(sql)} OR ${isOwn(sql, sql`${accountId}`, owner)}) ${older ?? sql``}
                 ORDER BY created_at DESC, exchange_id DESC LIMIT ${limit + 1}) listed
              JOIN exchanges x ON x.id = listed.exchange_id JOIN transfers s ON s.id = x.source_transfer_id
              ORDER BY x.created_at DESC, x.id DESC`,
            order: sql`created_at DESC, id DESC`,
            document: sql`metadata`,
            otherBytes: EXCHANGE_BYTES,
          })}) page ORDER BY nth`,
        { signal },
      );
      const { page, hasMore } = takePage(rows, limit);
      return { exchanges: page.map(toExchange), next: nextByAge(page, hasMore) };
    },
    async readBySource(transferIds) {
      if (transferIds.length === 0) return new Map();
      const rows = await db.query(
        (sql) => sql<ExchangeRow[]>`
          SELECT ${columns(sql)}, s.metadata FROM ${joined(sql)}
           WHERE x.source_transfer_id = ANY (${sentAtOnce(`{${transferIds.join(',')}}`)}::uuid[])`,
        { tier: 'critical' },
      );
      return new Map(rows.map((row) => [row.sourceTransferId, toExchange(row)]));
    },
  };
}

function isOwn(sql: FragmentTag, accountId: Fragment, owner: string): Fragment {
  return sql`(SELECT a.owner FROM accounts a WHERE a.id = ${accountId}) = ${owner}`;
}

function metadataFor(sql: FragmentTag, owner: string): Fragment {
  const isPayer = isOwn(sql, sql`x.debit_account_id`, owner);
  return sql`CASE WHEN NOT ${isolates(sql)} OR ${isPayer} THEN s.metadata ELSE '{}' END`;
}

function joined(sql: FragmentTag): Fragment {
  return sql`exchanges x JOIN transfers s ON s.id = x.source_transfer_id`;
}

function columns(sql: FragmentTag): Fragment {
  return sql`x.id, x.source_transfer_id, x.target_transfer_id, x.debit_account_id, x.source_liquidity_account_id,
    x.target_liquidity_account_id, x.credit_account_id, x.source_ledger, x.target_ledger, x.source_amount,
    x.target_amount, trim_scale(x.rate)::text AS rate, x.rounding, x.fixed_side,
    trim_scale(x.remainder)::text AS remainder, s.reference, x.created_at`;
}

function toExchange(row: ExchangeRow): Exchange {
  return {
    id: row.id,
    sourceTransferId: row.sourceTransferId,
    targetTransferId: row.targetTransferId,
    debitAccountId: row.debitAccountId,
    sourceLiquidityAccountId: row.sourceLiquidityAccountId,
    targetLiquidityAccountId: row.targetLiquidityAccountId,
    creditAccountId: row.creditAccountId,
    sourceLedger: row.sourceLedger,
    targetLedger: row.targetLedger,
    sourceAmount: row.sourceAmount,
    targetAmount: row.targetAmount,
    rate: row.rate,
    rounding: row.rounding,
    fixedSide: row.fixedSide,
    remainder: row.remainder,
    reference: row.reference,
    metadata: sortMembers(row.metadata),
    createdAt: row.createdAt.toISOString(),
  };
}
