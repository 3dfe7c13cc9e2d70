import type postgres from 'postgres';
import { BreakerOpen } from '../../resilience/circuit-breaker.ts';
import { BUCKETS_MS, bucketOf } from '../../utils/buckets.ts';
import type { ConflictCounts } from './retry-conflicts.ts';

/** The driver's template tag: builds queries and fragments, and sends nothing until a query is awaited. */
export type SqlTag = postgres.ISql;
export type Fragment = postgres.Fragment;
/** Builds a query fragment. */
export type FragmentTag = (
  strings: TemplateStringsArray,
  ...args: readonly postgres.ParameterOrFragment<never>[]
) => Fragment;
export type Rows = readonly postgres.MaybeRow[];
export type QueryResult<T extends Rows> = T & { readonly count: number };

/** Describes a query: it is built for the connection that will run it, and rebuilt for each rerun. */
export type BuildQuery<T extends Rows> = (sql: SqlTag) => postgres.PendingQuery<T>;

/** Runs queries: the database, or one of its transactions. */
export interface Queryable {
  query<T extends Rows>(build: BuildQuery<T>): Promise<QueryResult<T>>;
}

/** Queries since the start of this process, for the metrics. */
export class QueryStats {
  inFlight = 0;
  errors = 0;
  readonly conflicts: ConflictCounts = { retried: 0, failed: 0 };
  sumMs = 0;
  readonly buckets = new Float64Array(BUCKETS_MS.length + 1);
}

// PostgreSQL starts a process for each cancel, which costs more than most queries that a client no longer waits for.
const CANCEL_AFTER_MS = 100;

/**
 * Sends one query and counts it. When the signal aborts, the query is canceled on the server, unless it ends within
 * {@link CANCEL_AFTER_MS} of its start.
 */
export async function sendQuery<T extends Rows>(
  query: postgres.PendingQuery<T>,
  signal: AbortSignal,
  stats: QueryStats,
): Promise<QueryResult<T>> {
  const startMs = performance.now();
  let timer: Timer | undefined;
  const cancel = () => {
    const leftMs = CANCEL_AFTER_MS - (performance.now() - startMs);
    if (leftMs <= 0 || !isSent(query)) cancelQuery(query, signal.reason);
    else timer = setTimeout(cancelQuery, leftMs, query, signal.reason);
  };
  signal.addEventListener('abort', cancel, { once: true });
  stats.inFlight++;
  try {
    return withoutHole((await query) as unknown as QueryResult<T>);
  } catch (error) {
    stats.errors++;
    throw error;
  } finally {
    const durationMs = performance.now() - startMs;
    stats.inFlight--;
    stats.sumMs += durationMs;
    stats.buckets[bucketOf(durationMs)]!++;
    signal.removeEventListener('abort', cancel);
    clearTimeout(timer);
  }
}

/** Whether the driver has handed the query to a connection. */
function isSent(query: object): boolean {
  return (query as { readonly state: object | null }).state !== null;
}

/**
 * When a query fails midway, for example because it is canceled, the driver (3.4.9) adds its row count to the next
 * result of the connection, which then starts with that many holes. A transaction starts with BEGIN, so it has none.
 */
function withoutHole<T extends Rows>(result: QueryResult<T>): QueryResult<T> {
  if (result.length === 0 || 0 in result) return result;
  const rows = result as unknown as unknown[];
  rows.splice(
    0,
    rows.findIndex((_, i) => i in rows),
  );
  return result;
}

/** Cancels a query, whether it was sent or not. */
function cancelQuery(query: { cancel(): void }, reason: unknown): void {
  // An unavailable server does not receive the cancel.
  if (reason instanceof BreakerOpen) return;
  // The driver loses a connection whose first query is canceled before it is sent. A query without text fails when it
  // is about to be sent, and the connection stays.
  if (isSent(query)) {
    ignoreLostCancel(query);
    query.cancel();
  } else (query as unknown as { strings: unknown }).strings = undefined;
}

/** The driver (3.4.9) drops the promise of a cancel, which rejects when the server cannot be reached. */
function ignoreLostCancel(query: object): void {
  const canceled = query as { canceller?: ((query: object) => Promise<void>) | null };
  const { canceller } = canceled;
  if (canceller) canceled.canceller = (sent) => canceller(sent).catch(() => {});
}

// The driver holds a smaller query back until the next turn of the event loop, which under overload is most of a second
// away.
const SENT_AT_ONCE_BYTES = 1024;

/** Pads the literal of an array, so that the driver sends its query at once. Spaces at its end mean nothing. */
export function sentAtOnce(arrayLiteral: string): string {
  return arrayLiteral.padEnd(SENT_AT_ONCE_BYTES);
}
