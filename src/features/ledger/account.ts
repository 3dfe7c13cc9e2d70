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

/** The deepest account of a tree; a root is at 1. Also in the database. */
export const TREE_DEPTH_MAX = 8;
/** The largest tree that is rolled up, or moved. Also in the database. */
export const TREE_ACCOUNTS_MAX = 10_000;

/** Limits of a balance in minor units, and the account of which an account is a part. */
export interface Placement {
  /** The least that may be available. If it is null, that is 0, or nothing for an account that may be negative. */
  readonly balanceMin: number | null;
  /** The most that the balance may be, with what is pending. */
  readonly balanceMax: number | null;
  readonly parentId: string | null;
}

/** The placement of an account that was opened without one. */
export const UNPLACED: Placement = { balanceMin: null, balanceMax: null, parentId: null };

/** What stops an account from being debited or credited. */
export interface Stops {
  readonly debitsFrozen: boolean;
  readonly creditsFrozen: boolean;
}

/** The properties of an account that the caller sets when it is opened. Those of {@link Description} can be changed. */
export interface AccountContent extends Description {
  readonly ledger: string;
  readonly kind: AccountKind | null;
  readonly allowNegative: boolean;
}

/** What an account is called, and what the caller has written on it. */
export interface Description {
  readonly name: string | null;
  readonly metadata: Readonly<Record<string, string>>;
}

/** What to change of an account. What is undefined stays as it is. */
export type AccountChange = {
  readonly [K in keyof (Description & Acceptance & Placement & Stops)]?:
    | (Description & Acceptance & Placement & Stops)[K]
    | undefined;
};

/** What an account is opened with. */
export interface NewAccount extends AccountContent, Partial<Acceptance>, Partial<Placement> {}

/** One of several accounts that are opened together. */
export interface AccountToOpen extends AccountContent, Placement {
  readonly id: string;
}

/** An account with its totals in minor units. `version` counts its transfers. */
export interface Account extends AccountContent, Acceptance, Placement, Stops {
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
  /** Null unless it is closed. */
  readonly closedAt: string | null;
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
