import type postgres from 'postgres';
import { databaseErrorCode, openPostgres, type Sql } from '../../../../src/adapters/postgres/postgres.ts';
import { until } from '../../../support/until.ts';

export const LEVELS = ['READ UNCOMMITTED', 'READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE'] as const;
/** The four levels of SQL. */
export type Level = (typeof LEVELS)[number];

/** A connection with a transaction. */
export interface Session {
  readonly sql: postgres.ReservedSql;
  /** Sends a statement, and resolves when it waits for the lock of another session. */
  blocked(statement: PromiseLike<unknown>): Promise<{ readonly ended: Promise<unknown> }>;
}

/** Transactions that run at the same time. */
export interface Sessions {
  readonly a: Session;
  readonly b: Session;
  readonly c: Session;
  /** Statements outside of these transactions. */
  readonly beside: Sql;
}

/** Runs statements of several sessions, and returns whether the anomaly happened. Throws what PostgreSQL refuses. */
export type Anomaly = (sessions: Sessions) => Promise<boolean>;

/** What became of an anomaly: it happens, it does not, or PostgreSQL ends a transaction with a SQLSTATE. */
export type Ending = 'happens' | 'never' | '40001' | '40P01';

/** Runs an anomaly in transactions of one level. */
export async function endingOf(url: string, level: Level, anomaly: Anomaly): Promise<Ending> {
  const beside = openPostgres({ url, connectionsMax: 4, timeoutSeconds: 20 });
  const reserved = await Promise.all([beside.reserve(), beside.reserve(), beside.reserve()]);
  try {
    const sessions = await Promise.all(reserved.map((sql) => begin(sql, beside, level)));
    const [a, b, c] = sessions as [Session, Session, Session];
    return (await anomaly({ a, b, c, beside })) ? 'happens' : 'never';
  } catch (error) {
    const code = databaseErrorCode(error);
    if (code === '40001' || code === '40P01') return code;
    throw error;
  } finally {
    for (const sql of reserved) {
      await sql`ROLLBACK`.catch(() => {});
      sql.release();
    }
    await beside.end({ timeout: 5 });
  }
}

async function begin(sql: postgres.ReservedSql, beside: Sql, level: Level): Promise<Session> {
  // Before the transaction, whose snapshot is that of its first query.
  const [row] = await sql`SELECT pg_backend_pid() AS pid`;
  const isBlocked = async () => {
    const found = await beside`
      SELECT FROM pg_stat_activity WHERE pid = ${row!.pid as number} AND wait_event_type = 'Lock'`;
    return found.length > 0;
  };
  await sql.unsafe(`BEGIN ISOLATION LEVEL ${level}`);
  return {
    sql,
    async blocked(statement) {
      const ended = Promise.resolve(statement);
      ended.catch(() => {});
      await until(isBlocked);
      return { ended };
    },
  };
}
