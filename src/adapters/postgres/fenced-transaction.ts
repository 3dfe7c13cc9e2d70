import type postgres from 'postgres';
import { isConnectionLoss, type Sql } from './postgres.ts';
import type { Queryable, QueryResult, Rows } from './query.ts';

/** What a transaction sees of others that run at the same time: docs/architecture/transactions.md compares them. */
export type IsolationLevel = 'read committed' | 'repeatable read' | 'serializable';

/** How a transaction runs. */
export interface TransactionMode {
  readonly isolation: IsolationLevel;
  readonly isReadOnly?: boolean;
  /** Sends one query of the work. Awaits it by default. */
  readonly send?: <T extends Rows>(query: postgres.PendingQuery<T>) => Promise<QueryResult<T>>;
}

const never = new Promise<never>(() => {});

/**
 * Runs a transaction, and sends nothing after its end or after its connection was lost. The driver does not guarantee
 * that (porsager/postgres, issues 1186, 1208 and 1216): its ROLLBACK on the lost connection ends the process, and later
 * queries of the work run in autocommit, or in the next transaction of the connection. Throws what the work or the
 * driver throws.
 */
export async function runTransaction<T>(
  pool: Sql,
  work: (tx: Queryable) => Promise<T>,
  { isolation, isReadOnly = false, send }: TransactionMode,
): Promise<T> {
  const loss = Promise.withResolvers<never>();
  let endReason: unknown = null;
  const end = (reason: unknown) => {
    endReason ??= reason;
  };

  // The text is one of those above: the driver would remove anything but letters from it.
  const running = pool.begin(`isolation level ${isolation}${isReadOnly ? ' read only' : ''}`, async (sql) => {
    const tx: Queryable = {
      async query(build) {
        if (endReason !== null) throw endReason;
        try {
          return await (send ? send(build(sql)) : build(sql));
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
