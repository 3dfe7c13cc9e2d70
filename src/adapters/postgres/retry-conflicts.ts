import { sleep } from '../../utils/sleep.ts';
import { isConflict } from './postgres.ts';

/** Attempts that PostgreSQL rolled back to let another transaction proceed: those repeated, and those given up. */
export interface ConflictCounts {
  retried: number;
  failed: number;
}

const RETRIES_MAX = 3;
const FIRST_WAIT_MS = 20;

/**
 * Repeats a transaction that PostgreSQL has rolled back for another one: serialization failure (40001) or deadlock
 * (40P01). It had no effect, so repeating it is safe if the work changes nothing but the database. Up to three times,
 * after 20, 40, 80 ms with full jitter, and never once the signal has aborted. Throws what the last attempt throws.
 */
export async function retryConflicts<T>(
  attempt: () => Promise<T>,
  counts: ConflictCounts,
  signal?: AbortSignal,
): Promise<T> {
  for (let retry = 1; ; retry++) {
    try {
      return await attempt();
    } catch (error) {
      if (!isConflict(error)) throw error;
      if (retry <= RETRIES_MAX) await sleep(Math.random() * FIRST_WAIT_MS * 2 ** (retry - 1), signal);
      if (retry > RETRIES_MAX || signal?.aborted) {
        counts.failed++;
        throw error;
      }
      counts.retried++;
    }
  }
}
