import { createHash } from 'node:crypto';
import type { Queryable } from './query.ts';

/**
 * Locks a name of some kind until the transaction ends. All advisory locks share one space of numbers, and callers
 * choose names: with a hash that can be inverted, as `hashtextextended` can in milliseconds, a name would take any other
 * lock, such as that of posting. Throws like the query.
 *
 * @example await lockName(tx, 'idempotency key', owner, key)
 */
export async function lockName(tx: Queryable, kind: string, ...name: readonly string[]): Promise<void> {
  const digest = createHash('sha256')
    .update(JSON.stringify([kind, ...name]))
    .digest();
  await tx.query((sql) => sql`SELECT pg_advisory_xact_lock(${String(digest.readBigInt64BE())}::bigint)`);
}
