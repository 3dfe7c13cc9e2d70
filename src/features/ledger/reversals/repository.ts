import type { Database } from '../../../adapters/postgres/database.ts';
import { isolates } from '../../../adapters/postgres/isolation.ts';
import { rowsWithin, type SizedRow, takePage } from '../../../adapters/postgres/page-of-bytes.ts';
import type { AgePosition } from '../age-cursor.ts';
import { createdMicros, nextByAge, positionOf } from '../age-order.ts';
import type { Transfer } from '../movement.ts';
import { type TransferRow, toTransfer, transferColumns } from '../transfer-row.ts';

/** A page of the reversals of a transfer, oldest first. The next page is after `next`. */
export interface ReversalPage {
  readonly transfers: readonly Transfer[];
  readonly next: AgePosition | null;
}

/** Which transfers reverse which, in PostgreSQL. */
export interface ReversalRepository {
  /**
   * Returns null if the owner has neither account of the transfer. Of what others reversed it sees no metadata. A page
   * also ends at `PAGE_BYTES_MAX`.
   */
  list(
    owner: string,
    transferId: string,
    after: AgePosition | null,
    limit: number,
    signal?: AbortSignal,
  ): Promise<ReversalPage | null>;
}

// About what a transfer has in a page besides its metadata.
const TRANSFER_BYTES = 500;

export function createReversalRepository(db: Database): ReversalRepository {
  return {
    async list(owner, transferId, after, limit, signal) {
      const younger = after && db.fragment`AND (created_at, reversal_id) > ${positionOf(db.fragment, after)}`;
      const rows = await db.query(
        (sql) => sql<(TransferRow & SizedRow & { createdMicros: number })[]>`
          WITH reversed AS (
            SELECT NOT ${isolates(sql)} OR c.owner = ${owner} AS is_own FROM transfers t
              JOIN accounts d ON d.id = t.debit_account_id JOIN accounts c ON c.id = t.credit_account_id
             WHERE t.id = ${transferId} AND (NOT ${isolates(sql)} OR ${owner} IN (d.owner, c.owner))
          )
          SELECT page.* FROM reversed LEFT JOIN LATERAL (
            SELECT ${transferColumns(sql)}, metadata, bytes_so_far, nth,
                   ${createdMicros(sql)} FROM (${rowsWithin(sql, {
                     source: sql`
                       SELECT ${transferColumns(sql)}, CASE WHEN is_own THEN metadata ELSE '{}' END AS metadata
                         FROM (SELECT reversal_id FROM reversals
                                WHERE transfer_id = ${transferId} ${younger ?? sql``}
                                ORDER BY created_at, reversal_id LIMIT ${limit + 1}) r
                         JOIN transfers t ON t.id = r.reversal_id ORDER BY created_at, id`,
                     order: sql`created_at, id`,
                     document: sql`metadata`,
                     otherBytes: TRANSFER_BYTES,
                   })}) sized) page ON true ORDER BY page.nth`,
        { signal },
      );
      if (rows.length === 0) return null;
      const { page, hasMore } = takePage(
        rows.filter(({ id }) => id !== null),
        limit,
      );
      return { transfers: page.map(toTransfer), next: nextByAge(page, hasMore) };
    },
  };
}
