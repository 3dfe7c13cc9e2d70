/** One inconsistency in the ledger. Amounts are minor units in text, because they can exceed 2^53−1. */
export interface Discrepancy {
  readonly kind:
    | 'ledger_unbalanced'
    | 'sums_differ'
    | 'version_gap'
    | 'balance_negative'
    | 'account_missing'
    | 'outbox_missing'
    | 'balance_differs'
    | 'pending_differs'
    | 'hold_differs'
    | 'reversed_differs';
  /** The ledger, account, or transfer it was found at. */
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

/** The result of a verification. `ok` means that there are no discrepancies. */
export interface Verification {
  readonly ok: boolean;
  readonly accounts: number;
  readonly transfers: number;
  /** The first ledgers by name, up to a bound. All are verified. */
  readonly ledgers: readonly LedgerSums[];
  /** The first discrepancies, up to a bound. */
  readonly discrepancies: readonly Discrepancy[];
}
