import type postgres from 'postgres';
import { BreakerOpen } from '../../resilience/circuit-breaker.ts';
import { type CallOptions, Dependency } from '../../resilience/dependency.ts';
import { orAbort } from '../../utils/or-abort.ts';
import { callerError, refusalError } from './caller-error.ts';
import { CallsByOwner } from './calls-by-owner.ts';
import { type IsolationLevel, runTransaction } from './fenced-transaction.ts';
import {
  databaseCause,
  databaseErrorCode,
  openPostgres,
  type PostgresOptions,
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
import { retryConflicts } from './retry-conflicts.ts';
import { requireSession } from './session-settings.ts';
import { roleOf } from './setup-fault.ts';
import { unlessStray } from './unless-stray.ts';

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

/** How a transaction runs. */
export interface TransactionOptions extends Omit<QueryOptions, 'tier'> {
  /** `read committed` by default. Only a transaction of its own can have another one. */
  readonly isolation?: IsolationLevel;
}

/** How a snapshot is read. */
export interface SnapshotOptions extends Omit<QueryOptions, 'tx'> {
  /** How long each statement may take; DATABASE_TIMEOUT by default, and at most that. */
  readonly statementTimeoutMs?: number;
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
  readonly calls: CallsByOwner;
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
      unavailable: refusalError,
      // After failures alone, running queries may still return.
      onOpened: (isSilent) => {
        this.calls.refuseWaiting();
        this.#replacePool(this.#pool, isSilent ? 0 : timeoutSeconds);
      },
    });
    this.calls = new CallsByOwner(this.dependency, connectionsMax);
  }

  /**
   * Runs one query and returns its rows. When the signal aborts, this rejects and the query is canceled on the server.
   * A query that lost against another transaction is repeated: see {@link retryConflicts}. Throws an `AtlasError`, or
   * the driver's error if it is unexpected.
   */
  async query<T extends Rows>(
    build: BuildQuery<T>,
    { signal, tier = 'default', tx }: QueryOptions = {},
  ): Promise<QueryResult<T>> {
    if (tx !== undefined) return tx.query(build);
    const options = { timeoutMs: this.#statementMs + GRACE_MS, signal, tier };
    const run = (aborted: AbortSignal) =>
      unlessStray(() => this.#send(build, aborted), aborted, this.#statementMs);
    const call = () => this.calls.call('query', signal, run, options);
    // Awaited here, so that the stack of an error names the caller.
    return await this.#retried(call, signal);
  }

  /**
   * Runs work in a transaction, which commits when the work resolves, or in the one that it is given. When the signal
   * aborts, this rejects, but the transaction continues. If it lost against another transaction, the work runs again in
   * a new one ({@link retryConflicts}), so it must change nothing but the database. Throws like {@link query}, or what
   * the work throws.
   *
   * @example await db.transaction((tx) => transferWithinLimits(tx, order), { isolation: 'serializable', signal });
   */
  async transaction<T>(
    work: (tx: Queryable) => Promise<T>,
    { signal, tx, isolation }: TransactionOptions = {},
  ): Promise<T> {
    if (tx !== undefined) {
      if (isolation !== undefined) throw new Error('A transaction cannot change its level of isolation.');
      return work(tx);
    }
    const mode = { isolation: isolation ?? 'read committed' };
    return await this.#retried(
      () =>
        this.calls.call('transaction', signal, (aborted) => {
          const pool = this.#pool;
          return this.#untilDead(pool, runTransaction(pool, work, mode), aborted);
        }),
      signal,
    );
  }

  /**
   * Runs queries that all see the database as it was at one moment (`REPEATABLE READ`, read only). When the signal
   * aborts, this rejects, and the running query is canceled on the server. Throws as {@link transaction} does.
   */
  async snapshot<T>(
    work: (tx: Queryable) => Promise<T>,
    { signal, tier = 'default', statementTimeoutMs = this.#statementMs }: SnapshotOptions = {},
  ): Promise<T> {
    const limitMs = Math.min(statementTimeoutMs, this.#statementMs);
    const limited = async (tx: Queryable) => {
      if (limitMs < this.#statementMs)
        await tx.query((sql) => sql`SELECT set_config('statement_timeout', ${String(limitMs)}, true)`);
      return work(tx);
    };
    return await this.#retried(
      () =>
        this.calls.call(
          'snapshot',
          signal,
          (aborted) => unlessStray(() => this.#readSnapshot(limited, aborted), aborted, limitMs),
          { signal, tier },
        ),
      signal,
    );
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

  /** Runs a call, and again if it lost against another transaction. */
  async #retried<T>(call: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    try {
      // A silent server does not receive the cancel either, so the caller does not wait for it.
      const attempt = () => (signal ? orAbort(call(), signal) : call());
      return await retryConflicts(attempt, this.stats.conflicts, signal);
    } catch (error) {
      throw callerError(error, signal, this.role);
    }
  }

  #readSnapshot<T>(work: (tx: Queryable) => Promise<T>, signal: AbortSignal): Promise<T> {
    const pool = this.#pool;
    const running = runTransaction(pool, work, {
      isolation: 'repeatable read',
      isReadOnly: true,
      send: (query) => {
        signal.throwIfAborted();
        return sendQuery(query, signal, this.stats);
      },
    });
    return this.#untilDead(pool, running, signal);
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
