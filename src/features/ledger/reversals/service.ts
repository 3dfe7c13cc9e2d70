import { AtlasError } from '../../../errors.ts';
import type { Abortable } from '../../../utils/abortable.ts';
import type { AgePosition } from '../age-cursor.ts';
import { sortMembers, type Transfer } from '../movement.ts';
import type { Posted, RequestIdentity, Submit } from '../submit.ts';
import type { ReversalPage, ReversalRepository } from './repository.ts';

/** A reversal as requested: of all that is left, unless it names an amount. */
export interface NewReversal {
  readonly amount?: number | null | undefined;
  /** Whether it may take more than what is available. */
  readonly force?: boolean | null | undefined;
  readonly reference?: string | null | undefined;
  readonly metadata?: Readonly<Record<string, string>> | null | undefined;
}

/** Operations on reversals. All throw `AtlasError`, and a refusal under its code. */
export interface ReversalService {
  /** Returns the transfer that reverses another one. `existed`: see `TransferService.post`. */
  reverse(
    identity: RequestIdentity,
    transferId: string,
    reversal: NewReversal,
    caller?: Abortable,
  ): Promise<Posted<{ transfer: Transfer; existed: boolean }>>;
  list(
    owner: string,
    transferId: string,
    after: AgePosition | null,
    limit: number,
    signal?: AbortSignal,
  ): Promise<ReversalPage>;
}

export function createReversalService(repository: ReversalRepository, submit: Submit): ReversalService {
  return {
    async reverse(identity, transferId, reversal, caller) {
      const content = {
        transferId,
        amount: reversal.amount ?? null,
        force: reversal.force ?? false,
        reference: reversal.reference ?? null,
        metadata: sortMembers(reversal.metadata ?? {}),
      };
      const { result, replayed } = await submit.one(
        identity,
        content,
        (derived) => ({ kind: 'reverse', ...derived, ...content }),
        caller,
      );
      return { result: { transfer: result.transfer!, existed: result.outcome === 'exists' }, replayed };
    },
    async list(owner, transferId, after, limit, signal) {
      const page = await repository.list(owner, transferId, after, limit, signal);
      if (page === null) throw new AtlasError('transfer_not_found', `Transfer ${transferId} does not exist.`);
      return page;
    },
  };
}
