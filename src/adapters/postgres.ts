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

/** Opens a pool. Connections are made when first needed, so this never fails; names become camelCase at this border. */
export function openPostgres({ url, connectionsMax, timeoutSeconds }: PostgresOptions): Sql {
  return postgres(url, {
    max: connectionsMax,
    idle_timeout: 60,
    connect_timeout: timeoutSeconds,
    // Columns only: the driver's whole `camel` would rename the members of JSON values too, and metadata is the caller's.
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
  const cancel = () => query.cancel();
  signal?.addEventListener('abort', cancel, { once: true });
  try {
    signal?.throwIfAborted();
    return (await countQuery(query)) as unknown as T & { readonly count: number };
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
