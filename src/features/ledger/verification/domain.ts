/** What a verification can find. */
export const DISCREPANCY_KINDS = [
  'ledger_unbalanced',
  'sums_differ',
  'version_gap',
  'balance_negative',
  'account_missing',
  'ledger_differs',
  'outbox_missing',
  'balance_differs',
  'pending_differs',
  'hold_differs',
  'reversed_differs',
  'exchange_differs',
  'key_dangling',
] as const;

/** One inconsistency in the ledger. Amounts are minor units in text, because they can exceed 2^53−1. */
export interface Discrepancy {
  readonly kind: (typeof DISCREPANCY_KINDS)[number];
  /** The ledger, account, transfer, hold, exchange, or key it was found at. */
  readonly at: string;
  readonly expected: string;
  readonly found: string;
}

/** The totals of one ledger. Debits and credits are equal in a consistent ledger. */
export interface LedgerSums {
  readonly ledger: string;
  readonly accounts: number;
  readonly debitsPosted: string;
  readonly creditsPosted: string;
}

/** What a verification has read. `ok` means that there are no discrepancies. */
export interface Verification {
  readonly ok: boolean;
  readonly accounts: number;
  readonly transfers: number;
  /** The first ledgers by name, up to a bound. All are verified. */
  readonly ledgers: readonly LedgerSums[];
  /** The first discrepancies, up to a bound. */
  readonly discrepancies: readonly Discrepancy[];
}

/** How far a verification is. */
export interface VerificationProgress {
  /** What is being verified, such as `entries`. */
  readonly phase: string;
  readonly done: number;
  /** About how much there is. */
  readonly total: number;
}

/** The entries of an account that are verified: those up to a version, with their sums. */
export interface VerifiedEntries {
  readonly accountId: string;
  readonly version: number;
  /** Sums of debits and credits in minor units, as text, and of the debits that post holds. */
  readonly debits: string;
  readonly credits: string;
  readonly held: string;
}

/** Where in the order of accounts, by age, a verification goes on. */
export interface VerificationPosition {
  /** Of the last account that is done, or null at the beginning. In microseconds since 1970. */
  readonly createdMicros: string | null;
  readonly id: string | null;
  /** The account after it, if some of its entries are verified. */
  readonly partial: VerifiedEntries | null;
}

export const FROM_THE_START: VerificationPosition = { createdMicros: null, id: null, partial: null };
