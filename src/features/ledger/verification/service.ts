import type { Verification } from './domain.ts';
import type { LedgerRepository } from './repository.ts';

const DISCREPANCIES_MAX = 100;

/** Operations on the ledger as a whole. */
export interface LedgerService {
  /** Recomputes every balance from the transfers and returns the discrepancies. Reads everything; for operators. */
  verify(signal?: AbortSignal): Promise<Verification>;
}

export function createLedgerService(repository: LedgerRepository): LedgerService {
  return {
    async verify(signal) {
      const found = await repository.verify(DISCREPANCIES_MAX, signal);
      return { ok: found.discrepancies.length === 0, ...found };
    },
  };
}
