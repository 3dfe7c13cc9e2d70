import { AtlasError } from '../../../errors.ts';
import { limitConcurrency } from '../../../utils/concurrency.ts';
import { SingleFlight } from '../../../utils/single-flight.ts';
import type { Verification } from './domain.ts';
import type { LedgerRepository } from './repository.ts';

const DISCREPANCIES_MAX = 100;
// The one that runs, and the next one.
const ROUNDS_MAX = 2;

/** Operations on the ledger as a whole. */
export interface LedgerService {
  /**
   * Recomputes every balance from the transfers and returns the discrepancies. Reads everything; for operators. One
   * verification runs at a time: calls during it share the next one, so each sees what was committed before it.
   */
  verify(signal?: AbortSignal): Promise<Verification>;
}

export function createLedgerService(repository: LedgerRepository): LedgerService {
  const rounds = new SingleFlight<Verification>(ROUNDS_MAX);
  const oneAtATime = limitConcurrency(1);
  let round = 0;

  const verify = (signal: AbortSignal) =>
    oneAtATime(async () => {
      // Its snapshot is taken from here on, so it is too late to join it.
      round++;
      signal.throwIfAborted();
      const found = await repository.verify(DISCREPANCIES_MAX, signal);
      return { ok: found.discrepancies.length === 0, ...found };
    });

  return {
    async verify(signal) {
      try {
        return await rounds.run(String(round), verify, signal);
      } catch (error) {
        if (!signal?.aborted) throw error;
        throw new AtlasError('deadline_exceeded', 'The deadline passed during the verification.', {
          cause: error,
        });
      }
    },
  };
}
