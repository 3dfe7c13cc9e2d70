import type { LimitMaximum } from './limit.ts';

/** The most limits of an organization, and of operators for it. */
export const LIMITS_MAX = 10_000;
/** The most limits that a transfer can be under, of each kind and setter: of all accounts, and of groups. */
export const LIMITS_PER_ACCOUNT_MAX = 10;
export const LIMIT_ACCOUNTS_MAX = 1000;
export const LIMIT_NAME_LENGTH_MAX = 100;

export const LIMIT_COUNTS = ['debits', 'credits', 'both'] as const;

/** By maximum; null for none. */
export type LimitMaxima = Readonly<Record<LimitMaximum, number | null>>;

/** Those of a request. The others have none, or do not change. */
export type SomeMaxima = { readonly [M in LimitMaximum]?: number | null | undefined };

/** What is used of an hour or day (UTC). */
export interface LimitWindow {
  readonly startsAt: string;
  readonly resetsAt: string;
  readonly amount: number;
  readonly count: number;
}

/** A limit of what accounts pay or are paid. */
export interface Limit {
  readonly id: string;
  readonly name: string;
  readonly ledger: string;
  /** All accounts of the organization on the ledger, or a group of them. */
  readonly scope: 'organization' | 'accounts';
  /** How many accounts the group has; 0 if there is none. */
  readonly accountCount: number;
  readonly counts: (typeof LIMIT_COUNTS)[number];
  readonly countsInternal: boolean;
  readonly setBy: 'organization' | 'operator';
  readonly maxima: LimitMaxima;
  readonly usage: {
    readonly hour: LimitWindow;
    readonly day: LimitWindow;
    readonly total: { readonly amount: number };
  };
  readonly createdAt: string;
  readonly revision: number;
}

/** A limit with the accounts of its group; null if it has none. */
export interface LimitWithAccounts extends Limit {
  readonly accountIds: readonly string[] | null;
}

/** A limit to create. */
export interface NewLimit {
  readonly name: string;
  readonly ledger: string;
  readonly counts: Limit['counts'];
  readonly countsInternal: boolean;
  readonly maxima: SomeMaxima;
  readonly accountIds: readonly string[] | null;
}

/** What changes of a limit. A maximum of null is removed. */
export interface LimitChange {
  readonly name?: string | undefined;
  readonly maxima?: SomeMaxima | undefined;
  readonly accountIds?: readonly string[] | undefined;
}

/** Who changes limits of an organization: the organization itself, or an operator. */
export interface LimitWriter {
  readonly owner: string;
  readonly isOperator: boolean;
}
