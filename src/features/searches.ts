import { AtlasError } from '../errors.ts';
import { limitConcurrencyByOwner } from '../utils/concurrency.ts';

// They compete with payments for the processors of PostgreSQL.
const QUICK_MS = 20;
const PAUSE_MS_MAX = 500;

/**
 * Runs what may keep PostgreSQL busy for long: searches, ways through the graph, sums of trees, and lists of the audit
 * log. Of an owner, one runs at a time in this worker; after one that took long, the next waits as long as it took, so
 * that others have half of the time whatever is searched for. Owners take turns.
 *
 * @example
 * const inTurn = searches.inTurn(2, 'Look for less.');
 * await inTurn(owner, signal, () => repository.search(owner, signal));
 */
export class Searches {
  /** The end of the last search of an owner that has any, with its pause. */
  readonly #lastOf = new Map<string, Promise<void>>();

  /**
   * Returns a function that runs searches of one kind, at most `max` of all owners at a time. It rejects like the search,
   * and with `deadline_exceeded` if that took too long; `advice` says what to do then.
   */
  inTurn(max: number, advice: string) {
    const inTurn = limitConcurrencyByOwner(max);
    return async <T>(
      owner: string,
      signal: AbortSignal | undefined,
      search: () => Promise<T>,
    ): Promise<T> => {
      const end = await this.#afterLast(owner);
      let startMs = Number.POSITIVE_INFINITY;
      try {
        return await inTurn(owner, () => {
          signal?.throwIfAborted();
          startMs = performance.now();
          return search();
        });
      } catch (cause) {
        if (signal?.aborted)
          throw new AtlasError('deadline_exceeded', 'The deadline passed during the search.', { cause });
        if (cause instanceof AtlasError && cause.code === 'deadline_exceeded')
          throw new AtlasError('deadline_exceeded', `The search took too long. ${advice}`, { cause });
        throw cause;
      } finally {
        // Not the wait for searches of others, and nothing if it never started.
        end(performance.now() - startMs);
      }
    };
  }

  /** Waits for the turn of an owner. Returns what ends it, given how long it took. */
  async #afterLast(owner: string): Promise<(tookMs: number) => void> {
    const last = this.#lastOf.get(owner);
    const own = Promise.withResolvers<void>();
    this.#lastOf.set(owner, own.promise);
    await last;
    const end = () => {
      own.resolve();
      if (this.#lastOf.get(owner) === own.promise) this.#lastOf.delete(owner);
    };
    return (tookMs) => {
      if (tookMs < QUICK_MS) end();
      else setTimeout(end, Math.min(tookMs, PAUSE_MS_MAX));
    };
  }
}
