import { AtlasError } from '../errors.ts';
import { limitConcurrencyByOwner } from '../utils/concurrency.ts';

// In this worker. They compete with payments for the processors of PostgreSQL.
const SEARCHES_MAX = 4;
const QUICK_MS = 20;
const PAUSE_MS_MAX = 500;

/**
 * Runs what may keep PostgreSQL busy for long: searches, ways through the graph, sums of trees, and lists of the audit
 * log. Of an owner, one runs at a time in this worker; after one that took long, the next waits as long as it took, so
 * that others have half of the time whatever is searched for. Owners take turns.
 *
 * @example
 * const inTurn = searches.advising('Look for less.');
 * await inTurn(owner, signal, () => repository.search(owner, signal));
 */
export class Searches {
  readonly #inTurn = limitConcurrencyByOwner(SEARCHES_MAX);
  /** The end of the last search of an owner that has any, with its pause. */
  readonly #lastOf = new Map<string, Promise<void>>();

  /**
   * Returns a function that runs one in turn. It rejects like the search, and with `deadline_exceeded` if that took too
   * long; `advice` says what to do then.
   */
  advising(advice: string) {
    return async <T>(
      owner: string,
      signal: AbortSignal | undefined,
      search: () => Promise<T>,
    ): Promise<T> => {
      try {
        return await this.#afterLast(owner, () => {
          signal?.throwIfAborted();
          return this.#inTurn(owner, () => {
            signal?.throwIfAborted();
            return search();
          });
        });
      } catch (cause) {
        if (signal?.aborted)
          throw new AtlasError('deadline_exceeded', 'The deadline passed during the search.', { cause });
        if (cause instanceof AtlasError && cause.code === 'deadline_exceeded')
          throw new AtlasError('deadline_exceeded', `The search took too long. ${advice}`, { cause });
        throw cause;
      }
    };
  }

  async #afterLast<T>(owner: string, search: () => Promise<T>): Promise<T> {
    const last = this.#lastOf.get(owner);
    const own = Promise.withResolvers<void>();
    this.#lastOf.set(owner, own.promise);
    await last;
    const startMs = performance.now();
    try {
      return await search();
    } finally {
      const tookMs = performance.now() - startMs;
      const end = () => {
        own.resolve();
        if (this.#lastOf.get(owner) === own.promise) this.#lastOf.delete(owner);
      };
      if (tookMs < QUICK_MS) end();
      else setTimeout(end, Math.min(tookMs, PAUSE_MS_MAX));
    }
  }
}
