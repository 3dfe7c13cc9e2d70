import postgres from 'postgres';
import { AtlasError } from '../../errors.ts';
import { BreakerOpen } from '../../resilience/circuit-breaker.ts';
import type { CallOptions } from '../../resilience/dependency.ts';
import { BUCKETS_MS, bucketOf } from '../../utils/buckets.ts';
import { orAbort } from '../../utils/or-abort.ts';

export type Sql = postgres.Sql;
/** What a query can run on: the pool, or one transaction. */
export type Queryable = postgres.ISql;

/** How a pool is opened. */
export interface PostgresOptions {
  readonly url: string;
  readonly connectionsMax: number;
  readonly timeoutSeconds: number;
}

// Classes 08 (connection) and 57P (operator intervention), and what the driver calls a connection it lost.
const UNREACHABLE =
  /^(?:08...|57P0[1-5]|53300|ECONNREFUSED|ECONNRESET|EPIPE|ENOENT|ETIMEDOUT|EHOSTUNREACH|ENOTFOUND|CONNECT_TIMEOUT|CONNECTION_(?:CLOSED|ENDED|DESTROYED))$/;
// A serialization failure and a deadlock: PostgreSQL rolled this transaction back so that another could go on.
const CONFLICT = /^40(?:001|P01)$/;
/** SQLSTATE of a statement that was cancelled, and so has done nothing. */
export const QUERY_CANCELED = '57014';
const RETRY_AFTER_SECONDS = 1;
const RECONNECT_SECONDS_MAX = 0.25;
// No resources left (class 53), and a server that was made read-only by a fail-over.
const UNWRITABLE = /^(?:53...|25006)$/;

/** Opens a pool. Connections are made when first needed, so this never fails; names become camelCase at this border. */
export function openPostgres({ url, connectionsMax, timeoutSeconds }: PostgresOptions): Sql {
  return postgres(url, {
    max: connectionsMax,
    // As few as the driver can on one connection: the cancel of a query that waits there ends the one that runs.
    ...{ max_pipeline: 1 },
    idle_timeout: 60,
    connect_timeout: timeoutSeconds,
    // The driver's own waits grow to 20 s for the whole pool, and callers would sit through them.
    backoff: () => Math.random() * RECONNECT_SECONDS_MAX,
    // Columns only: the driver's whole `camel` would rename the members of JSON values too, and metadata is the
    // caller's.
    transform: { column: { from: postgres.toCamel } },
    onnotice: () => {},
    connection: {
      application_name: 'atlas',
      default_transaction_isolation: 'read committed',
      statement_timeout: timeoutSeconds * 1000,
      // A process that was stopped, or whose host is lost, must not keep the locks of its transaction.
      idle_in_transaction_session_timeout: timeoutSeconds * 1000,
      TimeZone: 'UTC',
    },
    // Sums and 64-bit columns of Atlas are bounded to 2^53−1 by constraints, so a number holds them exactly.
    types: { bigint: { to: 20, from: [20], parse: Number, serialize: String } },
  }) as unknown as Sql;
}

/** The code of a database error (SQLSTATE or of the driver), or an empty string. */
export function databaseErrorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

/** Whether the statement may or may not have taken effect, because the connection went away. */
export function isConnectionLoss(error: unknown): boolean {
  return UNREACHABLE.test(databaseErrorCode(error));
}

/** Whether the same transaction may succeed when it is run again: it lost its connection, or to another transaction. */
export function isTransient(error: unknown): boolean {
  return isConnectionLoss(error) || CONFLICT.test(databaseErrorCode(error));
}

/** Rejects like a lost connection when the server stays silent: nobody can tell whether the work was done. */
export async function inTime<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: Timer | undefined;
  const silence = new Promise<never>((_, reject) => {
    const lost = Object.assign(new Error('PostgreSQL has fallen silent'), { code: 'CONNECTION_CLOSED' });
    timer = setTimeout(() => reject(lost), timeoutMs);
  });
  try {
    return await Promise.race([work, silence]);
  } finally {
    clearTimeout(timer);
  }
}

/** Maps what a caller should know of a database error; everything else is rethrown as it is. */
export function mapDatabaseError(error: unknown, signal?: AbortSignal): unknown {
  if (signal?.aborted)
    return new AtlasError('deadline_exceeded', 'The deadline passed during a query.', { cause: error });
  if (isConnectionLoss(error)) {
    return new AtlasError('dependency_unavailable', 'PostgreSQL cannot be reached.', {
      cause: error,
      retryAfterSeconds: RETRY_AFTER_SECONDS,
    });
  }
  if (UNWRITABLE.test(databaseErrorCode(error)) || CONFLICT.test(databaseErrorCode(error))) {
    return new AtlasError('dependency_unavailable', 'PostgreSQL cannot take this now.', {
      cause: error,
      retryAfterSeconds: RETRY_AFTER_SECONDS,
    });
  }
  if (databaseErrorCode(error) === QUERY_CANCELED) {
    return new AtlasError('deadline_exceeded', 'A query took longer than DATABASE_TIMEOUT.', {
      cause: error,
    });
  }
  return error;
}

/** What this process has asked of PostgreSQL since its start, for the metrics. */
export const queryStats = {
  inFlight: 0,
  errors: 0,
  sumMs: 0,
  buckets: new Float64Array(BUCKETS_MS.length + 1),
};

/** How the queries of a pool with a breaker are run: see `openGuardedPostgres`. */
export type QueryGuard = <T extends Rows>(
  query: postgres.PendingQuery<T>,
  options: CallOptions,
) => Promise<Answer<T>>;

export type Rows = readonly postgres.MaybeRow[];
export type Answer<T extends Rows> = T & { readonly count: number };

/** Guards by the function of the driver that all queries of a pool share, and those of its transactions do not. */
const guards = new WeakMap<object, QueryGuard>();
const handlerOf = (query: object) => (query as { readonly handler: object }).handler;

/** Has all queries that a pool makes run by a guard, but for those of its transactions. */
export function guardQueries(sql: Sql, guard: QueryGuard): void {
  guards.set(handlerOf(sql`SELECT 1`), guard);
}

/**
 * Runs one query and counts it. Throws what the driver throws, and for a guarded pool that is away or full what callers
 * should know of that.
 */
export function countQuery<T extends Rows>(
  query: postgres.PendingQuery<T>,
  options: CallOptions = {},
): Promise<Answer<T>> {
  const guard = guards.get(handlerOf(query));
  return guard ? guard(query, options) : executeQuery(query, options.signal);
}

/** Runs one query on its way, without asking its guard. When the signal aborts, it is cancelled on the server. */
export async function executeQuery<T extends Rows>(
  query: postgres.PendingQuery<T>,
  signal: AbortSignal | undefined,
): Promise<Answer<T>> {
  const cancel = () => cancelQuery(query, signal!.reason);
  signal?.addEventListener('abort', cancel, { once: true });
  const startMs = performance.now();
  queryStats.inFlight++;
  try {
    return withoutHole((await query) as unknown as Answer<T>);
  } catch (error) {
    queryStats.errors++;
    throw error;
  } finally {
    const durationMs = performance.now() - startMs;
    queryStats.inFlight--;
    queryStats.sumMs += durationMs;
    queryStats.buckets[bucketOf(durationMs)]!++;
    signal?.removeEventListener('abort', cancel);
  }
}

/**
 * The driver (3.4.9) counts the rows of a query that fails midway, as one does that is cancelled, to those of the next
 * query of the connection, whose first row then stands behind as many empty places. Transactions begin without rows.
 */
function withoutHole<T extends Rows>(answer: Answer<T>): Answer<T> {
  if (answer.length === 0 || 0 in answer) return answer;
  const rows = answer as unknown as unknown[];
  rows.splice(
    0,
    rows.findIndex((_, i) => i in rows),
  );
  return answer;
}

/** Ends a query that nobody waits for any more, whether it was sent or not. */
function cancelQuery(query: { cancel(): void }, reason: unknown): void {
  // A server that is away hears no cancel.
  if (reason instanceof BreakerOpen) return;
  const sending = query as unknown as { readonly state: object | null; strings: unknown };
  // The driver loses a connection whose first query is cancelled before it is sent. One without a text fails when it is
  // to be sent, and its connection is kept.
  if (sending.state === null) sending.strings = undefined;
  else query.cancel();
}

/** Runs one query; when the signal aborts, the query is cancelled on the server too. Throws mapped errors. */
export async function runQuery<T extends Rows>(
  query: postgres.PendingQuery<T>,
  signal?: AbortSignal,
): Promise<Answer<T>> {
  try {
    signal?.throwIfAborted();
    const answer = countQuery(query, { signal });
    // A server that has fallen silent hears no cancel either, so this does not wait for one.
    return await (signal ? orAbort(answer, signal) : answer);
  } catch (error) {
    throw mapDatabaseError(error, signal);
  }
}

/** Milliseconds that a trivial query took. Throws the mapped error when it does not answer. */
export async function pingPostgres(sql: Sql, signal?: AbortSignal): Promise<number> {
  const startMs = performance.now();
  await runQuery(sql`SELECT 1`, signal);
  return performance.now() - startMs;
}
