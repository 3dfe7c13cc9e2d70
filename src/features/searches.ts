import { AtlasError } from '../errors.ts';
import { limitConcurrencyByOwner } from '../utils/concurrency.ts';

/**
 * Returns what runs searches that may take long, at most `max` at a time in this worker. Owners take turns. It rejects
 * like the search, and with `deadline_exceeded` if that took too long; `advice` says what to do then.
 *
 * @example
 * const inTurn = searchesInTurn(2, 'Look for less.');
 * await inTurn(owner, signal, () => repository.search(owner, signal));
 */
export function searchesInTurn(max: number, advice: string) {
  const inTurn = limitConcurrencyByOwner(max);
  return async <T>(owner: string, signal: AbortSignal | undefined, search: () => Promise<T>): Promise<T> => {
    try {
      return await inTurn(owner, () => {
        signal?.throwIfAborted();
        return search();
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
