/** The kinds of accounts in bookkeeping. Atlas stores the kind but does not interpret it. */
export const ACCOUNT_KINDS = ['asset', 'liability', 'equity', 'income', 'expense'] as const;
export type AccountKind = (typeof ACCOUNT_KINDS)[number];

/** The properties of an account that the caller sets. They are immutable. */
export interface AccountContent {
  readonly ledger: string;
  readonly name: string | null;
  readonly kind: AccountKind | null;
  readonly allowNegative: boolean;
  readonly metadata: Readonly<Record<string, string>>;
}

/** An account with its totals in minor units. `version` counts its transfers. */
export interface Account extends AccountContent {
  readonly id: string;
  /** Owner of the key that opened the account. Its events go to this owner. */
  readonly owner: string;
  readonly debitsPosted: number;
  readonly creditsPosted: number;
  readonly version: number;
  readonly createdAt: string;
}

/** Returns credits minus debits in minor units. Without `allowNegative` it is never below zero. */
export function balanceOf(account: Pick<Account, 'debitsPosted' | 'creditsPosted'>): number {
  return account.creditsPosted - account.debitsPosted;
}
