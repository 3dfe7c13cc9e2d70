/** One place where the ledger disagrees with itself. Amounts in minor units; they can be larger than any single sum. */
export interface Discrepancy {
  readonly kind:
    | 'ledger_unbalanced'
    | 'sums_differ'
    | 'version_gap'
    | 'balance_negative'
    | 'account_missing'
    | 'outbox_missing';
  /** The ledger, account or transfer it was found at. */
  readonly at: string;
  readonly expected: string;
  readonly found: string;
}

/** The sums of one ledger. Debits and credits are equal, or it is not sound. */
export interface LedgerSums {
  readonly ledger: string;
  readonly accounts: number;
  readonly debitsPosted: string;
  readonly creditsPosted: string;
}

/** What a verification found. `ok` means that there is no discrepancy. */
export interface Verification {
  readonly ok: boolean;
  readonly accounts: number;
  readonly transfers: number;
  readonly ledgers: readonly LedgerSums[];
  /** The first of them, up to a bound. */
  readonly discrepancies: readonly Discrepancy[];
}
