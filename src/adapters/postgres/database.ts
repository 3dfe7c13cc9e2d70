import type postgres from 'postgres';
import { AtlasError } from '../../errors.ts';
import { BulkheadFull } from '../../resilience/bulkhead.ts';
import { BreakerOpen } from '../../resilience/circuit-breaker.ts';
import { type CallOptions, Dependency } from '../../resilience/dependency.ts';
import { orAbort } from '../../utils/or-abort.ts';
import { runTransaction } from './fenced-transaction.ts';
import {
  databaseCause,
  databaseErrorCode,
  mapDatabaseError,
  openPostgres,
  type PostgresOptions,
  QUERY_CANCELED,
  type Sql,
} from './postgres.ts';
import { isServerUnavailable, probePostgres } from './probe-postgres.ts';
import {
  type BuildQuery,
  type FragmentTag,
  type Queryable,
  type QueryResult,
  QueryStats,
  type Rows,
  sendQuery,
} from './query.ts';
import { requireServer } from './require-server.ts';
import { requireSession } from './session-settings.ts';
import { roleOf } from './setup-fault.ts';

/** How a database is opened: see `CIRCUIT_BREAKER_*`. */
export interface DatabaseOptions extends PostgresOptions {
  readonly failureThreshold: number;
  readonly recoveryTimeoutMs: number;
}

/** How one query runs. */
export interface QueryOptions extends Pick<CallOptions, 'signal' | 'tier'> {
  /** The transaction that it is part of, whose signal and tier apply. */
  readonly tx?: Queryable | undefined;
}

// The server ends a statement at DATABASE_TIMEOUT. If it stays silent for longer, the connection is lost.
const GRACE_MS = 1000;
// How many statements of a transaction may reach their timeout.
const TRANSACTION_STATEMENTS = 6;
// After this long without a reply, a probe finds out whether the server is slow or unavailable.
const SILENCE_MS = 500;
// The length of the queue, per connection, and its minimum. Load shedding refuses requests long before, by latency, so
// this only bounds what it does not see.
const WAITING_PER_CONNECTION = 8;
const WAITING_MIN = 1024;
// A server ends a canceled statement immediately. If it does not within this time, the connection is dead.
const CANCEL_MS = 2000;
// A statement that was canceled by mistake ran for less than this share of its timeout.
const STRAY_SHARE = 0.9;
const RETRY_AFTER_SECONDS = 1;
// An open connection was lost. The driver reuses it, and sometimes waits forever for what it has not sent, or reports
// the old error to the next caller (porsager/postgres, issues 1133 and 1215).
const LOST = /^(?:08...|57P0[124]|ECONNRESET|EPIPE|ETIMEDOUT|CONNECTION_CLOSED)$/;

/**
 * PostgreSQL behind a bounded queue and a circuit breaker. Queries and transactions wait in the queue for a connection,
 * and fail immediately while PostgreSQL is unavailable. A pool with a dead connection is replaced.
 */
export class Database implements Queryable {
  readonly dependency: Dependency;
  readonly stats = new QueryStats();
  readonly #options: DatabaseOptions;
  readonly #statementMs: number;
  /** The user that Atlas connects as; empty if the URL has none. */
  readonly role: string;
  #pool: Sql;
  #isEnded = false;

  constructor(options: DatabaseOptions) {
    const { url, connectionsMax, timeoutSeconds, failureThreshold, recoveryTimeoutMs } = options;
    this.#options = options;
    this.#statementMs = timeoutSeconds * 1000;
    this.role = roleOf(url);
    this.#pool = openPostgres(options);
    this.dependency = new Dependency({
      name: 'postgresql',
      concurrencyMax: connectionsMax,
      waitingMax: Math.max(WAITING_MIN, WAITING_PER_CONNECTION * connectionsMax),
      // The server itself ends slow statements. This is the last resort, so it does not adapt.
      timeoutFloorMs: TRANSACTION_STATEMENTS * this.#statementMs,
      timeoutMaxMs: TRANSACTION_STATEMENTS * this.#statementMs,
      failureThreshold,
      recoveryTimeoutMs,
      silenceMs: SILENCE_MS,
      attributes: { 'db.system.name': 'postgresql' },
      // Only what says that the server is unavailable: a table, or a role, that is missing must not stop the others.
      isFailure: (error) => isServerUnavailable(databaseCause(error)),
      probe: (signal) => probePostgres(url, signal),
      unavailable: toAtlasError,
      // After failures alone, running queries may still return.
      onOpened: (isSilent) => this.#replacePool(this.#pool, isSilent ? 0 : timeoutSeconds),
    });
  }

  /**
   * Runs one query and returns its rows. When the signal aborts, this rejects and the query is canceled on the server.
   * Throws an `AtlasError`, or the driver's error if it is unexpected.
   */
  async query<T extends Rows>(
    build: BuildQuery<T>,
    { signal, tier = 'default', tx }: QueryOptions = {},
  ): Promise<QueryResult<T>> {
    if (tx !== undefined) return tx.query(build);
    try {
      const running = this.dependency.call('query', (aborted) => this.#run(build, aborted), {
        timeoutMs: this.#statementMs + GRACE_MS,
        signal,
        tier,
      });
      // A silent server does not receive the cancel either, so the caller does not wait for it.
      return await (signal ? orAbort(running, signal) : running);
    } catch (error) {
      throw toThrow(error, signal, this.role);
    }
  }

  /**
   * Runs work in a transaction, which commits when the work resolves, or in the one that it is given. When the signal
   * aborts, this rejects, but the transaction continues. Throws like {@link query}, or what the work throws.
   */
  async transaction<T>(
    work: (tx: Queryable) => Promise<T>,
    { signal, tx }: Omit<QueryOptions, 'tier'> = {},
  ): Promise<T> {
    if (tx !== undefined) return work(tx);
    try {
      const running = this.dependency.call('transaction', (aborted) => {
        const pool = this.#pool;
        return this.#untilDead(pool, runTransaction(pool, work), aborted);
      });
      return await (signal ? orAbort(running, signal) : running);
    } catch (error) {
      throw toThrow(error, signal, this.role);
    }
  }

  /**
   * Throws an Error with a remedy if Atlas cannot run on this PostgreSQL, or on the pooler in front of it. Throws like
   * {@link query}.
   */
  async requireSession(): Promise<void> {
    const { url, timeoutSeconds } = this.#options;
    await requireServer(url, timeoutSeconds);
    await requireSession(this, this.#options);
  }

  /** Returns the milliseconds that a trivial query took. Throws like {@link query}. */
  async ping(signal?: AbortSignal): Promise<number> {
    const startMs = performance.now();
    await this.query((sql) => sql`SELECT 1`, { signal });
    return performance.now() - startMs;
  }

  /**
   * Opens connections ahead, up to that many, and keeps them from idling out if called more often than once a minute.
   * Opening one takes several turns of the event loop, which is too long while it is overloaded. Never rejects.
   */
  async warmUp(connections: number): Promise<void> {
    await Promise.allSettled(Array.from({ length: connections }, () => this.ping()));
  }

  /** Builds a query fragment that several queries share, such as a list of columns. */
  readonly fragment: FragmentTag = (strings, ...args) => this.#pool(strings, ...args);

  /** Takes a connection out of the pool for migrations, with neither queue nor breaker. The caller releases it. */
  reserve(): Promise<postgres.ReservedSql> {
    return this.#pool.reserve();
  }

  /** Closes all connections. Running queries have `timeout` seconds to end, or all the time they need. */
  end(options?: { timeout?: number }): Promise<void> {
    this.#isEnded = true;
    this.dependency.close();
    return this.#pool.end(options);
  }

  /** Runs a query, and reruns it if a late cancel hit it: a cancel names a connection, not a query. */
  async #run<T extends Rows>(build: BuildQuery<T>, signal: AbortSignal): Promise<QueryResult<T>> {
    const startMs = performance.now();
    try {
      return await this.#send(build, signal);
    } catch (error) {
      const isStray = databaseErrorCode(error) === QUERY_CANCELED && !signal.aborted;
      if (!isStray || performance.now() - startMs > this.#statementMs * STRAY_SHARE) throw error;
      return await this.#send(build, signal);
    }
  }

  #send<T extends Rows>(build: BuildQuery<T>, signal: AbortSignal): Promise<QueryResult<T>> {
    const pool = this.#pool;
    return this.#untilDead(pool, sendQuery(build(pool), signal, this.stats), signal);
  }

  /** Replaces the pool when work on it loses its connection, or does not end after its signal has aborted. */
  async #untilDead<T>(pool: Sql, work: Promise<T>, signal: AbortSignal): Promise<T> {
    const dead = Promise.withResolvers<never>();
    let timer: Timer | undefined;
    const aborted = () => {
      // The pool is already replaced, so waiting for the work would free no connection.
      if (signal.reason instanceof BreakerOpen) return dead.reject(signal.reason);
      timer = setTimeout(() => this.#replacePool(pool, this.#options.timeoutSeconds), CANCEL_MS);
      timer.unref();
    };
    signal.addEventListener('abort', aborted, { once: true });
    try {
      return await Promise.race([work, dead.promise]);
    } catch (error) {
      if (LOST.test(databaseErrorCode(error))) this.#replacePool(pool, this.#options.timeoutSeconds);
      throw error;
    } finally {
      clearTimeout(timer);
      // A second run shares the signal, and its abort says nothing about this work.
      signal.removeEventListener('abort', aborted);
    }
  }

  /** Opens a new pool for new calls. The old one may finish its work; after the grace period it is closed. */
  #replacePool(dead: Sql, graceSeconds: number): void {
    if (dead !== this.#pool || this.#isEnded) return;
    this.#pool = openPostgres(this.#options);
    void dead.end({ timeout: graceSeconds });
  }
}

/** Opens a database. It connects on first use, so this never fails. */
export function openDatabase(options: DatabaseOptions): Database {
  return new Database(options);
}

function toAtlasError(cause: unknown): AtlasError {
  const extras = { cause, retryAfterSeconds: RETRY_AFTER_SECONDS };
  if (cause instanceof BulkheadFull)
    return new AtlasError('overloaded', 'The PostgreSQL queue is full.', extras);
  return new AtlasError('dependency_unavailable', 'PostgreSQL cannot be reached.', extras);
}

/** Returns what callers get for an error. The driver creates its errors in a callback, so this adds their stack. */
function toThrow(error: unknown, signal: AbortSignal | undefined, role: string): unknown {
  const mapped = mapDatabaseError(error, signal, role);
  if (mapped !== error || !(error instanceof Error) || databaseErrorCode(error) === '') return mapped;
  const { stack = '' } = new Error();
  Object.defineProperty(error, 'stack', {
    value: `${error.stack}\n${stack.slice(stack.indexOf('\n') + 1)}`,
    configurable: true,
    writable: true,
  });
  return error;
}
