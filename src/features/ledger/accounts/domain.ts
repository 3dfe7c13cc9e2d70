/** What kind of account it is, in the sense of bookkeeping. Atlas only keeps it. */
export const ACCOUNT_KINDS = ['asset', 'liability', 'equity', 'income', 'expense'] as const;
export type AccountKind = (typeof ACCOUNT_KINDS)[number];

/** What a caller decides about an account. It never changes afterwards. */
export interface AccountContent {
  readonly ledger: string;
  readonly name: string | null;
  readonly kind: AccountKind | null;
  readonly allowNegative: boolean;
  readonly metadata: Readonly<Record<string, string>>;
}

/** An account with its sums, in minor units. `version` counts its transfers. */
export interface Account extends AccountContent {
  readonly id: string;
  /** Who opened it. Its events go to this owner. */
  readonly owner: string;
  readonly debitsPosted: number;
  readonly creditsPosted: number;
  readonly version: number;
  readonly createdAt: string;
}

/** Credits minus debits, in minor units. Without `allowNegative` it is never below zero. */
export function balanceOf(account: Pick<Account, 'debitsPosted' | 'creditsPosted'>): number {
  return account.creditsPosted - account.debitsPosted;
}
