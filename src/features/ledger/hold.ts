import { toReservedId } from '../../utils/reserved-id.ts';

/** `pending`: it reserves money. The others are final, and say what became of what was left. */
export const HOLD_STATES = ['pending', 'posted', 'voided', 'expired'] as const;
export type HoldState = (typeof HOLD_STATES)[number];

export const DEFAULT_EXPIRY_SECONDS = 604_800;
export const EXPIRY_SECONDS_MAX = 31_536_000;

/** What a hold reserves. `amount` is in minor units of the currency of the ledger. */
export interface HoldContent {
  readonly debitAccountId: string;
  readonly creditAccountId: string;
  readonly amount: number;
  readonly expiresInSeconds: number;
  readonly reference: string | null;
  readonly metadata: Readonly<Record<string, string>>;
}

/** A hold: money of the debit account that is reserved for the credit account. */
export interface Hold extends Omit<HoldContent, 'expiresInSeconds'> {
  readonly id: string;
  readonly ledger: string;
  readonly state: HoldState;
  /** What its transfers have moved. */
  readonly posted: number;
  /** What it still reserves: 0 once it is settled. */
  readonly remaining: number;
  readonly expiresAt: string;
  readonly settledAt: string | null;
  readonly createdAt: string;
}

/**
 * Returns the ID of a hold, from the derived ID that a transfer in its place would have: a retry finds it even when its
 * key has expired. No account can have it, as it is the key of the events of the hold.
 */
export function toHoldId(derivedId: string): string {
  return toReservedId('hold', derivedId);
}
