/** The kinds of accounts in bookkeeping. Atlas stores the kind but does not interpret it. */
export const ACCOUNT_KINDS = ['asset', 'liability', 'equity', 'income', 'expense'] as const;
export type AccountKind = (typeof ACCOUNT_KINDS)[number];

/**
 * The organizations whose transfers an account accepts, besides those of its own: `['*']` for all, null for none. It
 * matters only while organizations are isolated.
 */
export type AcceptsFrom = readonly string[] | null;

/** In {@link AcceptsFrom}: every organization. */
export const ANYONE = '*';

/** Maximum organizations in {@link AcceptsFrom}. */
export const ACCEPTED_MAX = 100;
/** How many characters their IDs have in all. */
export const ACCEPTED_LENGTH_MAX = 20_000;

/** The largest transfer that an account accepts from others unless it says so, in minor units. Also in the database. */
export const ACCEPTS_UP_TO_DEFAULT = 10_000_000_000;

/** From other organizations: whose transfers an account accepts, and the largest one, in minor units. */
export interface Acceptance {
  readonly acceptsFrom: AcceptsFrom;
  readonly acceptsUpTo: number;
}

/** What to change of an {@link Acceptance}. */
export type AcceptanceChange = { readonly [K in keyof Acceptance]?: Acceptance[K] | undefined };

/** The properties of an account that the caller sets when it is opened. They are immutable. */
export interface AccountContent {
  readonly ledger: string;
  readonly name: string | null;
  readonly kind: AccountKind | null;
  readonly allowNegative: boolean;
  readonly metadata: Readonly<Record<string, string>>;
}

/** What an account is opened with. */
export interface NewAccount extends AccountContent, Partial<Acceptance> {}

/** An account with its totals in minor units. `version` counts its transfers. */
export interface Account extends AccountContent, Acceptance {
  readonly id: string;
  /** Owner of the key that opened the account. Its events go to this owner. */
  readonly owner: string;
  /** Counts the changes of what can be changed, which are not its transfers. */
  readonly revision: number;
  readonly debitsPosted: number;
  readonly creditsPosted: number;
  /** What holds reserve: of its money, and for it. */
  readonly debitsPending: number;
  readonly creditsPending: number;
  readonly version: number;
  readonly createdAt: string;
}

/** Returns credits minus debits in minor units. Without `allowNegative` it is never below zero. */
export function balanceOf(account: Pick<Account, 'debitsPosted' | 'creditsPosted'>): number {
  return account.creditsPosted - account.debitsPosted;
}

/** Returns the balance without what holds reserve: what can be spent, if the account has no limits of its own. */
export function availableOf(
  account: Pick<Account, 'debitsPosted' | 'creditsPosted' | 'debitsPending'>,
): number {
  return balanceOf(account) - account.debitsPending;
}
