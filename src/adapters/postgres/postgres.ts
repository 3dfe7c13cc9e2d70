import postgres from 'postgres';
import { AtlasError } from '../../errors.ts';
import { connectionTls } from './connection-tls.ts';
import { sessionSettings, withoutSettings } from './session-settings.ts';
import { setupRemedy } from './setup-fault.ts';

/** A pool of the driver. */
export type Sql = postgres.Sql;

/** How a pool is opened. */
export interface PostgresOptions {
  readonly url: string;
  readonly connectionsMax: number;
  readonly timeoutSeconds: number;
  /** Whether arrays are read, whose types the driver looks up first; if that fails, a rejection stays unhandled. */
  readonly readsArrays?: boolean;
}

// Classes 08 (connection) and 57P (operator intervention), and the driver's codes for a lost connection.
const UNREACHABLE =
  /^(?:08...|57P0[1-5]|53300|ECONNREFUSED|ECONNRESET|EPIPE|ENOENT|ETIMEDOUT|EHOSTUNREACH|ENOTFOUND|CONNECT_TIMEOUT|CONNECTION_(?:CLOSED|ENDED|DESTROYED))$/;
// A serialization failure or a deadlock: PostgreSQL rolled this transaction back to let another one proceed.
const CONFLICT = /^40(?:001|P01)$/;
/** SQLSTATE of a canceled statement, which has had no effect. */
export const QUERY_CANCELED = '57014';
const RETRY_AFTER_SECONDS = 1;
// An operator needs longer than a server that restarts.
const SETUP_RETRY_AFTER_SECONDS = 10;
const RECONNECT_SECONDS_MAX = 0.25;
const SQLSTATE = /^[0-9A-Z]{5}$/;
// Out of resources (class 53), or read-only after a failover.
const UNWRITABLE = /^(?:53...|25006)$/;

/**
 * Opens a pool, which connects on first use. Column names become camelCase here. Throws an Error with a remedy if the
 * URL names a file of authorities that cannot be used.
 */
export function openPostgres({
  url,
  connectionsMax,
  timeoutSeconds,
  readsArrays = true,
}: PostgresOptions): Sql {
  const { url: target, tls } = connectionTls(withoutSettings(url));
  return postgres(target, {
    ...tls,
    max: connectionsMax,
    // The driver's minimum: canceling a pipelined query would cancel the one that is running.
    ...{ max_pipeline: 1 },
    fetch_types: readsArrays,
    idle_timeout: 60,
    connect_timeout: timeoutSeconds,
    // The driver's own backoff grows to 20 s for the whole pool, and every caller would wait for it.
    backoff: () => Math.random() * RECONNECT_SECONDS_MAX,
    // Columns only: the driver's `camel` would also rename members of JSON values, and metadata belongs to callers.
    transform: { column: { from: postgres.toCamel } },
    onnotice: () => {},
    connection: { application_name: 'atlas', ...sessionSettings(timeoutSeconds) },
    // Constraints bound every sum and 64-bit column to 2^53−1, which a number holds exactly.
    types: { bigint: { to: 20, from: [20], parse: Number, serialize: String } },
  }) as unknown as Sql;
}

/** Returns the code of a database error, a SQLSTATE or one of the driver; an empty string for any other error. */
export function databaseErrorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

/** Whether the connection was lost, so that nobody knows if the statement took effect. */
export function isConnectionLoss(error: unknown): boolean {
  return UNREACHABLE.test(databaseErrorCode(error));
}

/** Whether PostgreSQL rolled the transaction back to let another one proceed. It had no effect. */
export function isConflict(error: unknown): boolean {
  return CONFLICT.test(databaseErrorCode(error));
}

/** Whether retrying the same transaction may succeed: it lost its connection, or lost against another transaction. */
export function isTransient(error: unknown): boolean {
  const cause = databaseCause(error);
  return isConnectionLoss(cause) || isConflict(cause);
}

/**
 * Whether the error passes by itself: the server is unreachable, out of resources, or too slow, or the queue is full.
 * It says nothing about the schema or the data.
 */
export function isPassing(error: unknown): boolean {
  const cause = error instanceof AtlasError ? (error.cause ?? error) : error;
  const code = databaseErrorCode(cause);
  if (code === QUERY_CANCELED || CONFLICT.test(code) || UNWRITABLE.test(code)) return true;
  if (isConnectionLoss(cause)) return true;
  // Without a code of PostgreSQL, what a call through its dependency throws: an open breaker, a full queue, a deadline.
  return error instanceof AtlasError && !SQLSTATE.test(code);
}

/** Rejects like a lost connection when the server stays silent: nobody knows if the work was done. */
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

/**
 * Returns the `AtlasError` that callers get for a database error, or the error itself if it is unexpected. `role` is the
 * user that Atlas connects as.
 */
export function mapDatabaseError(error: unknown, signal?: AbortSignal, role?: string): unknown {
  if (signal?.aborted)
    return new AtlasError('deadline_exceeded', 'The deadline passed during a query.', { cause: error });
  if (isConnectionLoss(error)) {
    return new AtlasError('dependency_unavailable', 'PostgreSQL cannot be reached.', {
      cause: error,
      retryAfterSeconds: RETRY_AFTER_SECONDS,
    });
  }
  if (UNWRITABLE.test(databaseErrorCode(error)) || isConflict(error)) {
    return new AtlasError('dependency_unavailable', 'PostgreSQL cannot accept this request now.', {
      cause: error,
      retryAfterSeconds: RETRY_AFTER_SECONDS,
    });
  }
  if (databaseErrorCode(error) === QUERY_CANCELED) {
    return new AtlasError('deadline_exceeded', 'A query took longer than DATABASE_TIMEOUT.', {
      cause: error,
    });
  }
  const remedy = setupRemedy(error, role);
  if (remedy === null) return error;
  return new AtlasError('dependency_unavailable', 'PostgreSQL is not set up for this request.', {
    cause: error,
    retryAfterSeconds: SETUP_RETRY_AFTER_SECONDS,
    remedy,
  });
}

/** Returns the error of the driver behind an `AtlasError`, and any other error unchanged. */
export function databaseCause(error: unknown): unknown {
  return error instanceof AtlasError ? error.cause : error;
}
