import { databaseErrorCode, QUERY_CANCELED } from './postgres.ts';

// A statement that was canceled by mistake ran for less than this share of its timeout.
const STRAY_SHARE = 0.9;

/** Repeats what a late cancel hit: a cancel names a connection, not a query. */
export async function unlessStray<T>(
  read: () => Promise<T>,
  signal: AbortSignal,
  limitMs: number,
): Promise<T> {
  const startMs = performance.now();
  try {
    return await read();
  } catch (error) {
    const isStray = databaseErrorCode(error) === QUERY_CANCELED && !signal.aborted;
    if (!isStray || performance.now() - startMs > limitMs * STRAY_SHARE) throw error;
    return await read();
  }
}
