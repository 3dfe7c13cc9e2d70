import type { Actor } from '../../utils/actor.ts';
import type { ChangeRefusal, ParentRefusal } from './account-refusals.ts';

/** What an account accepts from others unless it says so, like `ACCEPTS_UP_TO_DEFAULT` of accounts. */
export const BULK_ACCEPTS_UP_TO = 10_000_000_000;

/** An account to open with others. Without a floor, it is 0, or nothing if the account may be negative. */
export interface BulkAccount {
  readonly id: string;
  readonly ledger: string;
  readonly name: string | null;
  readonly kind: string | null;
  readonly allowNegative: boolean;
  readonly metadata: Readonly<Record<string, string>>;
  readonly acceptsFrom: readonly string[] | null;
  readonly acceptsUpTo: number;
  readonly balanceMin: number | null;
  /** Must exist, and belong to the same owner. */
  readonly parentId: string | null;
}

/** What to set of an account. */
export interface BulkSettings {
  readonly id: string;
  readonly balanceMin: number | null;
  readonly balanceMax: number | null;
  readonly debitsFrozen: boolean;
  readonly creditsFrozen: boolean;
  readonly isClosed: boolean;
  /** Whether the account may be below its floor, because a forced reversal has taken more than was available. */
  readonly isOverdrawn: boolean;
}

/** What became of an account. All but the first two are why nothing was written. */
export type BulkOutcome =
  | 'posted'
  | 'exists'
  | 'account_id_taken'
  | ParentRefusal
  | Exclude<ChangeRefusal, 'precondition_failed'>;

/**
 * Opens and changes many accounts of an owner at once, by the rules of accounts and with the same events and audit
 * entries. Each call is safe to repeat.
 */
export interface BulkAccounts {
  /**
   * Returns an outcome for each account. One that exists with the same content is not changed, even if it was renamed
   * since. Parents must exist before.
   */
  open(owner: string, accounts: readonly BulkAccount[], actor: Actor): Promise<BulkOutcome[]>;
  /** Returns an outcome for each account: `exists` if nothing changes. */
  set(owner: string, settings: readonly BulkSettings[], actor: Actor): Promise<BulkOutcome[]>;
}
