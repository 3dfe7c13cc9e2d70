import { AtlasError } from '../../../errors.ts';
import { limitConcurrencyByOwner } from '../../../utils/concurrency.ts';
import { SingleFlight } from '../../../utils/single-flight.ts';
import type { Verification, VerificationProgress } from './domain.ts';
import type { LedgerRepository } from './repository.ts';

const DISCREPANCIES_MAX = 100;
// For each owner, the one that runs and the next one. Beyond that, callers do not share.
const ROUNDS_MAX = 128;

/** Operations on the ledger as a whole. */
export interface LedgerService {
  /**
   * Recomputes every balance from the entries and returns the discrepancies: of the whole ledger if `owner` is null,
   * else of the accounts of the owner. One verification runs at a time, and owners take turns: calls during it share
   * the next one of their owner, so each sees what was committed before it.
   */
  verify(
    owner: string | null,
    signal?: AbortSignal,
    onProgress?: (progress: VerificationProgress) => void,
  ): Promise<Verification>;
}

export function createLedgerService(repository: LedgerRepository): LedgerService {
  const rounds = new SingleFlight<Verification>(ROUNDS_MAX);
  const oneAtATime = limitConcurrencyByOwner(1);
  let round = 0;

  const verify = (
    owner: string | null,
    signal: AbortSignal,
    onProgress?: (progress: VerificationProgress) => void,
  ) =>
    oneAtATime(owner ?? '', async () => {
      // It reads from here on, so it is too late to join it.
      round++;
      signal.throwIfAborted();
      const found = await repository.verify(owner, DISCREPANCIES_MAX, signal, onProgress);
      return { ok: found.discrepancies.length === 0, ...found };
    });

  return {
    async verify(owner, signal, onProgress) {
      try {
        const run = (shared: AbortSignal) => verify(owner, shared, onProgress);
        return await rounds.run(`${round} ${owner ?? ''}`, run, signal);
      } catch (error) {
        if (!signal?.aborted) throw error;
        throw new AtlasError('deadline_exceeded', 'The deadline passed during the verification.', {
          cause: error,
        });
      }
    },
  };
}
