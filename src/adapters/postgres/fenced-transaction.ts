import { isConnectionLoss, type Sql } from './postgres.ts';
import type { Queryable } from './query.ts';

const never = new Promise<never>(() => {});

/**
 * Runs a transaction, and sends nothing after its end or after its connection was lost. The driver does not guarantee
 * that (porsager/postgres, issues 1186, 1208 and 1216): its ROLLBACK on the lost connection ends the process, and later
 * queries of the work run in autocommit, or in the next transaction of the connection. Throws what the work or the
 * driver throws.
 */
export async function runTransaction<T>(pool: Sql, work: (tx: Queryable) => Promise<T>): Promise<T> {
  const loss = Promise.withResolvers<never>();
  let endReason: unknown = null;
  const end = (reason: unknown) => {
    endReason ??= reason;
  };

  const running = pool.begin(async (sql) => {
    const tx: Queryable = {
      async query(build) {
        if (endReason !== null) throw endReason;
        try {
          return await build(sql);
        } catch (error) {
          if (isConnectionLoss(error)) {
            end(error);
            loss.reject(error);
          }
          throw error;
        }
      },
    };
    try {
      return await work(tx);
    } finally {
      // The driver sends neither ROLLBACK nor COMMIT while this is pending.
      if (endReason !== null) await never;
    }
  }) as Promise<T>;
  running.catch(end);
  try {
    return await Promise.race([running, loss.promise]);
  } finally {
    end(new Error('The transaction has ended.'));
  }
}
