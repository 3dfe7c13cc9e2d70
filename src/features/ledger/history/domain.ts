/** Which time counts: when an entry was recorded, or when it took effect. */
export const TIME_ORDERS = ['recorded', 'effective'] as const;
export type TimeOrder = (typeof TIME_ORDERS)[number];

/** The entries of a statement as PDF. */
export const PDF_ENTRIES_MAX = 10_000;

/** A transfer as seen by one of its accounts. Amounts are in minor units. */
export interface Entry {
  /** Numbers the entries of the account from 1, in the order in which they were recorded. */
  readonly version: number;
  /** What it added to the balance: below zero for a debit. */
  readonly net: number;
  /** After this entry, in the order of the list. */
  readonly balance: number;
  readonly transferId: string;
  readonly counterpartyAccountId: string;
  readonly reference: string | null;
  readonly createdAt: string;
  readonly effectiveAt: string;
}

/** The balance of an account at a moment. */
export interface PastBalance {
  readonly accountId: string;
  readonly ledger: string;
  readonly by: TimeOrder;
  /** Milliseconds since 1970. */
  readonly atMs: number;
  readonly balance: number;
  /** How many entries had been recorded; by time of effect, how many are known now. */
  readonly version: number;
}

/** The half-open period of a statement, in milliseconds since 1970; null without bound. */
export interface Period {
  readonly by: TimeOrder;
  readonly fromMs: number | null;
  readonly toMs: number | null;
}

/** Where a statement goes on: after what was read of entries with a time of effect of their own, and of the rest. */
export interface StatementPosition {
  readonly version: number;
  readonly effectiveMs: number;
  readonly effectiveVersion: number;
}

/** A statement without its entries. They are immutable and numbered, so it is fixed by the last one that it knows. */
export interface StatementHead {
  readonly accountId: string;
  readonly ledger: string;
  readonly name: string | null;
  readonly by: TimeOrder;
  readonly fromMs: number | null;
  readonly toMs: number;
  readonly openingBalance: number;
  readonly closingBalance: number;
  /** How many entries of the account the statement knows. */
  readonly lastVersion: number;
  /** The last entries that were recorded before the period, and in it. */
  readonly firstVersion: number;
  readonly upToVersion: number;
}

/** Part of the entries of a statement, in order. */
export interface StatementChunk {
  readonly entries: readonly Entry[];
  readonly position: StatementPosition;
  /** After the last entry. */
  readonly balance: number;
  readonly isLast: boolean;
}

/** The first moment that a query can name: year 1. */
export const FIRST_MS = Date.parse('0001-01-01T00:00:00Z');

/** Returns where a statement begins. */
export function startOf({ firstVersion, fromMs }: StatementHead): StatementPosition {
  return { version: firstVersion, effectiveMs: fromMs ?? FIRST_MS, effectiveVersion: 0 };
}
