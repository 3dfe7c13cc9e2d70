import type { Actor } from '../../utils/actor.ts';

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
  | 'account_not_found'
  | 'parent_not_found'
  | 'insufficient_funds'
  | 'balance_limit_exceeded'
  | 'account_not_empty';

/** Opens and changes many accounts of an owner at once. Each call is one transaction, safe to repeat. */
export interface BulkAccounts {
  /** Returns an outcome for each account. One that exists with the same content is not changed. */
  open(owner: string, accounts: readonly BulkAccount[], actor: Actor): Promise<BulkOutcome[]>;
  set(owner: string, settings: readonly BulkSettings[], actor: Actor): Promise<BulkOutcome[]>;
}
