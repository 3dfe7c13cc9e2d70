import postgres from 'postgres';
import { AtlasError } from '../../errors.ts';
import { BulkheadFull } from '../../resilience/bulkhead.ts';
import { BreakerOpen } from '../../resilience/circuit-breaker.ts';
import { Dependency } from '../../resilience/dependency.ts';
import { runTransaction } from './fenced-transaction.ts';
import {
  type Answer,
  databaseErrorCode,
  executeQuery,
  guardQueries,
  isConnectionLoss,
  openPostgres,
  type PostgresOptions,
  QUERY_CANCELED,
  type Rows,
  type Sql,
} from './postgres.ts';

/** How a pool with a breaker is opened: see `CIRCUIT_BREAKER_*`. */
export interface GuardedPostgresOptions extends PostgresOptions {
  readonly failureThreshold: number;
  readonly recoveryTimeoutMs: number;
}

// The server ends a statement at DATABASE_TIMEOUT; when it says nothing for longer, the connection is lost.
const GRACE_MS = 1000;
// Statements that a transaction may have at their limit.
const TRANSACTION_STATEMENTS = 6;
// When nothing was answered for so long, a connection of its own finds out whether the server is slow or gone.
const SILENCE_MS = 500;
// Calls in line for each connection, and for a small pool: load shedding refuses requests long before, by how long they
// take, so this line is the bound of what it does not see.
const WAITING_PER_CONNECTION = 8;
const WAITING_MIN = 1024;
// A server that hears a cancel ends the statement at once; without an end after so long, the connection is dead.
const CANCEL_MS = 2000;
// A statement that was cancelled though nobody here asked for it ran for less than this part of its limit.
const STRAY_SHARE = 0.9;
const RETRY_AFTER_SECONDS = 1;
const PROBE_CONNECT_SECONDS = 1;
const TOO_MANY_CONNECTIONS = '53300';
// A connection that was open and is gone. The driver uses it again, and then now and then waits on it for ever for what
// it has not sent, or tells the next caller of the old error (porsager/postgres, issues 1133 and 1215).
const LOST = /^(?:08...|57P0[124]|ECONNRESET|EPIPE|ETIMEDOUT|CONNECTION_CLOSED)$/;

/** What the driver makes a query of. */
interface QueryParts {
  readonly strings: TemplateStringsArray;
  readonly args: readonly never[];
  readonly tagged: boolean;
}

/**
 * Opens a pool behind a breaker. Queries run by `runQuery` and `countQuery`, and transactions, wait in a bounded line
 * for a connection, fail at once while PostgreSQL is away, and leave connections that are dead: the pool behind `sql`
 * is replaced then, and whoever holds `sql` need not know.
 */
export function openGuardedPostgres(options: GuardedPostgresOptions): { sql: Sql; dependency: Dependency } {
  const { url, connectionsMax, timeoutSeconds, failureThreshold, recoveryTimeoutMs } = options;
  const statementMs = timeoutSeconds * 1000;
  let pool = openPostgres(options);
  let isEnded = false;

  const dependency = new Dependency({
    name: 'postgresql',
    concurrencyMax: connectionsMax,
    waitingMax: Math.max(WAITING_MIN, WAITING_PER_CONNECTION * connectionsMax),
    // The server itself ends a statement that takes too long, so this is the last resort and need not adapt.
    timeoutFloorMs: TRANSACTION_STATEMENTS * statementMs,
    timeoutMaxMs: TRANSACTION_STATEMENTS * statementMs,
    failureThreshold,
    recoveryTimeoutMs,
    silenceMs: SILENCE_MS,
    attributes: { 'db.system.name': 'postgresql' },
    isFailure: (error) => isUnavailable(error) || (error instanceof AtlasError && isUnavailable(error.cause)),
    probe: (signal) => probePostgres(url, signal),
    unavailable,
    // After failures only, some that run may be answered yet.
    onOpened: (isSilent) => replace(pool, isSilent ? 0 : timeoutSeconds),
  });

  /** Has new calls use a new pool. The old one may end what it has; what is left after the grace is cut off. */
  function replace(dead: Sql, graceSeconds: number): void {
    if (dead !== pool || isEnded) return;
    pool = openPostgres(options);
    guard(pool);
    void dead.end({ timeout: graceSeconds });
  }

  /** Has the queries of a pool wait in line; what was made for a pool that is gone is then made for that of now. */
  function guard(own: Sql): void {
    guardQueries(own, (query, { signal, ...rest }) => {
      const run = (aborted: AbortSignal) => execute(own === pool ? query : again(query), aborted);
      return dependency.call('query', run, { timeoutMs: statementMs + GRACE_MS, signal, ...rest });
    });
  }

  /** A cancel names a connection and not a query: one that comes late hits the next query there, which is run again. */
  async function execute<T extends Rows>(
    query: postgres.PendingQuery<T>,
    signal: AbortSignal,
  ): Promise<Answer<T>> {
    const startMs = performance.now();
    try {
      return await untilDead(executeQuery(query, signal), signal);
    } catch (error) {
      const isStray = databaseErrorCode(error) === QUERY_CANCELED && !signal.aborted;
      if (!isStray || performance.now() - startMs > statementMs * STRAY_SHARE) throw error;
      return await untilDead(executeQuery(again(query), signal), signal);
    }
  }

  /** The same query for the pool of now. */
  function again<T extends Rows>(query: postgres.PendingQuery<T>): postgres.PendingQuery<T> {
    const { strings, args, tagged } = query as unknown as QueryParts;
    return tagged ? (pool(strings, ...args) as unknown as postgres.PendingQuery<T>) : query;
  }

  /** Replaces the pool when work on it does not end though it was told to, or loses its connection. */
  async function untilDead<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
    const own = pool;
    const dead = Promise.withResolvers<never>();
    let timer: Timer | undefined;
    const aborted = () => {
      // Its pool is gone, so its end would free nothing that a new call could use.
      if (signal.reason instanceof BreakerOpen) return dead.reject(signal.reason);
      timer = setTimeout(() => replace(own, timeoutSeconds), CANCEL_MS);
      timer.unref();
    };
    signal.addEventListener('abort', aborted, { once: true });
    try {
      return await Promise.race([work, dead.promise]);
    } catch (error) {
      if (LOST.test(databaseErrorCode(error))) replace(own, timeoutSeconds);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  const begin = (work: (tx: postgres.TransactionSql) => Promise<unknown>) =>
    dependency.call('transaction', (signal) => untilDead(runTransaction(pool, work), signal));
  const end = (how?: { timeout?: number }) => {
    isEnded = true;
    dependency.close();
    return pool.end(how);
  };
  guard(pool);
  // A function that only calls on leaves no trace on the stack (JavaScriptCore), of which the driver keeps four frames
  // to tell where a query was written.
  const sql = (...args: [never]) => pool(...args);
  for (const name of Object.keys(pool))
    Object.defineProperty(sql, name, { get: () => Reflect.get(pool, name), configurable: true });
  Object.defineProperties(sql, { begin: { value: begin }, end: { value: end } });
  return { sql: sql as unknown as Sql, dependency };
}

/** A server that refuses a connection for the number of them is there. */
function isUnavailable(error: unknown): boolean {
  return isConnectionLoss(error) && databaseErrorCode(error) !== TOO_MANY_CONNECTIONS;
}

/** Asks on a connection of its own, because one of the pool may be dead, or busy for long. */
async function probePostgres(url: string, signal: AbortSignal): Promise<void> {
  const sql = postgres(url, {
    max: 1,
    connect_timeout: PROBE_CONNECT_SECONDS,
    fetch_types: false,
    onnotice: () => {},
  });
  const end = () => void sql.end({ timeout: 0 });
  signal.addEventListener('abort', end, { once: true });
  try {
    await sql`SELECT 1`.simple();
  } catch (error) {
    // A server that refuses a connection for its password is there too.
    if (isUnavailable(error)) throw error;
  } finally {
    signal.removeEventListener('abort', end);
    end();
  }
}

function unavailable(cause: unknown): AtlasError {
  const extras = { cause, retryAfterSeconds: RETRY_AFTER_SECONDS };
  if (cause instanceof BulkheadFull)
    return new AtlasError('overloaded', 'As much waits for PostgreSQL as may.', extras);
  return new AtlasError('dependency_unavailable', 'PostgreSQL cannot be reached.', extras);
}
