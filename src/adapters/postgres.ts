import postgres from 'postgres';
import { AtlasError } from '../errors.ts';
import { BUCKETS_MS, bucketOf } from '../utils/buckets.ts';

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
const QUERY_CANCELED = '57014';
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
export const queryFigures = {
  inFlight: 0,
  errors: 0,
  sumMs: 0,
  buckets: new Float64Array(BUCKETS_MS.length + 1),
};

/** Runs one query and counts it. Throws what the driver throws. */
export async function countQuery<T>(query: PromiseLike<T>): Promise<T> {
  const startMs = performance.now();
  queryFigures.inFlight++;
  try {
    return await query;
  } catch (error) {
    queryFigures.errors++;
    throw error;
  } finally {
    const durationMs = performance.now() - startMs;
    queryFigures.inFlight--;
    queryFigures.sumMs += durationMs;
    queryFigures.buckets[bucketOf(durationMs)]!++;
  }
}

/** Runs one query; when the signal aborts, the query is cancelled on the server too. Throws mapped errors. */
export async function runQuery<T extends readonly postgres.MaybeRow[]>(
  query: postgres.PendingQuery<T>,
  signal?: AbortSignal,
): Promise<T & { readonly count: number }> {
  let giveUp: (reason: unknown) => void = () => {};
  const aborted = new Promise<never>((_, reject) => {
    giveUp = reject;
  });
  const cancel = () => {
    query.cancel();
    // A server that has fallen silent hears no cancel either, so this does not wait for one.
    giveUp(signal!.reason);
  };
  signal?.addEventListener('abort', cancel, { once: true });
  try {
    signal?.throwIfAborted();
    const answer = countQuery(query);
    return (await (signal ? Promise.race([answer, aborted]) : answer)) as unknown as T & {
      readonly count: number;
    };
  } catch (error) {
    throw mapDatabaseError(error, signal);
  } finally {
    signal?.removeEventListener('abort', cancel);
  }
}

/** Milliseconds that a trivial query took. Throws the mapped error when it does not answer. */
export async function pingPostgres(sql: Sql, signal?: AbortSignal): Promise<number> {
  const startMs = performance.now();
  await runQuery(sql`SELECT 1`, signal);
  return performance.now() - startMs;
}
