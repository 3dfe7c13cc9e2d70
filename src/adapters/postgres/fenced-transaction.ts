import type { TransactionSql } from 'postgres';
import { isConnectionLoss, type Sql } from './postgres.ts';

/** What is used here of a query of the driver. */
interface DriverQuery {
  handler: (query: DriverQuery) => void;
  reject: (error: unknown) => void;
}

// What makes values and parts of a text, and sends nothing.
const MAKERS = ['types', 'typed', 'array', 'json'] as const;
const never = new Promise<never>(() => {});

/**
 * Runs a transaction, of which nothing reaches the server after its end or after its connection was lost. The driver
 * does not see to that (porsager/postgres, issues 1186, 1208 and 1216): its own ROLLBACK on the lost connection ends
 * the process, and what the work says later runs by itself, or in the transaction that has the connection then.
 * Savepoints are left out. Throws what the work throws, or what the driver does.
 */
export async function runTransaction<T>(pool: Sql, work: (tx: TransactionSql) => Promise<T>): Promise<T> {
  const loss = Promise.withResolvers<never>();
  let over: unknown = null;
  const end = (reason: unknown) => {
    over ??= reason;
  };

  function fence<Q>(made: Q): Q {
    const query = made as Partial<DriverQuery>;
    if (typeof query?.handler !== 'function') return made;
    const { handler, reject } = query as DriverQuery;
    query.handler = (self) => (over === null ? handler(self) : reject(over));
    query.reject = (error) => {
      if (isConnectionLoss(error)) {
        end(error);
        loss.reject(error);
      }
      reject(error);
    };
    return made;
  }

  const running = pool.begin(async (own) => {
    const tx = (...args: [never]) => fence(own(...args));
    for (const name of MAKERS) Object.assign(tx, { [name]: own[name] });
    Object.assign(tx, { unsafe: (...args: [never]) => fence(own.unsafe(...args)) });
    try {
      return await work(tx as unknown as TransactionSql);
    } finally {
      // While this does not end, the driver sends neither ROLLBACK nor COMMIT.
      if (over !== null) await never;
    }
  }) as Promise<T>;
  running.catch(end);
  try {
    return await Promise.race([running, loss.promise]);
  } finally {
    end(new Error('The transaction has ended.'));
  }
}
