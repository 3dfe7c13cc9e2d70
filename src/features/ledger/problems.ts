import type { ProblemKinds } from '../../http/problem-kind.ts';

/** Problems of accounts and transfers. */
export const ledgerProblems = {
  account_not_found: {
    status: 404,
    title: 'Account not found',
    cause: 'No account of your organization has this ID.',
    remedy: 'Check the ID. GET /v1/accounts lists the accounts.',
  },
  account_id_taken: {
    status: 409,
    title: 'Account ID already in use',
    cause:
      'An account with this ID and different content exists, or Atlas reserves the ID: account IDs never equal those of files and webhooks.',
    remedy: 'Use another ID, or omit it to have one generated.',
  },
  transfer_not_found: {
    status: 404,
    title: 'Transfer not found',
    cause: 'No transfer of your organization has this ID.',
    remedy: 'Check the ID. GET /v1/accounts/{id}/transfers lists the transfers of an account.',
  },
  transfer_id_taken: {
    status: 409,
    title: 'Transfer ID already in use',
    cause:
      'A transfer with this ID and different content exists, and transfers are immutable; or the ID is a UUIDv8, the version that Atlas assigns, and no such transfer exists.',
    remedy: 'Use another ID, such as a UUIDv7, or omit it to have one derived from the key.',
  },
  same_account: {
    status: 422,
    title: 'Debit and credit accounts are the same',
    cause: 'A transfer moves money from one account to another.',
    remedy: 'Use two different accounts.',
  },
  unknown_account: {
    status: 422,
    title: 'Unknown account',
    cause:
      'The debit or credit account does not exist, or your organization may not use it: it may debit its own accounts, and credit those that accept it, up to the amount they accept.',
    remedy:
      'Open the account first: POST /v1/accounts. To be paid by another organization, accept it: PATCH /v1/accounts/{id}.',
  },
  different_ledgers: {
    status: 422,
    title: 'Accounts on different ledgers',
    cause: 'A ledger holds one currency, and a transfer stays within one ledger.',
    remedy: 'Transfer between accounts of the same ledger. A currency exchange takes two transfers.',
  },
  insufficient_funds: {
    status: 422,
    title: 'Insufficient funds',
    cause: 'The balance of the debit account would fall below zero, which the account does not allow.',
    remedy: 'Send a smaller amount, or credit the account first.',
  },
  balance_overflow: {
    status: 422,
    title: 'Balance overflow',
    cause: 'The total debits or credits of an account would exceed 9007199254740991 (2^53−1).',
    remedy: 'Use another account.',
  },
  batch_refused: {
    status: 422,
    title: 'Batch rejected',
    cause: 'The batch is atomic and at least one of its transfers was rejected, so none was posted.',
    remedy: 'Read `errors`, fix or remove those transfers, and send the batch with a new key.',
    errors: [
      {
        pointer: '/transfers/1',
        code: 'insufficient_funds',
        detail: 'The balance of the debit account does not cover the amount.',
      },
    ],
  },
  metadata_too_large: {
    status: 422,
    title: 'Metadata too large',
    cause: 'The metadata of an account or transfer has more than 16384 bytes as compact JSON in UTF-8.',
    remedy:
      'Nothing was stored. Send less, for example the ID of a file or of a record of yours instead of its content.',
  },
  queue_full: {
    status: 429,
    title: 'Ledger queue full',
    cause:
      'The queue of transfers waiting to be posted is full, or others need the room that yours take in it. This is not a quota on your key.',
    remedy: 'Wait for the number of seconds in Retry-After and retry with the same Idempotency-Key.',
  },
} as const satisfies ProblemKinds;

declare module '../../errors.ts' {
  interface ErrorCodes extends Record<keyof typeof ledgerProblems, true> {}
}
