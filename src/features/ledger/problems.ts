import type { ProblemKinds } from '../../http/problem-kind.ts';
import { accountProblems } from './account-problems.ts';
import { limitProblems } from './limit-problems.ts';

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
    remedy: 'Transfer between accounts of the same ledger. To exchange currencies: POST /v1/sets.',
  },
  insufficient_funds: {
    status: 422,
    title: 'Insufficient funds',
    cause:
      'What is available in the debit account would fall below zero, or below its floor, which the account does not allow. What holds have reserved is not available.',
    remedy: 'Send a smaller amount, credit the account first, or void a hold.',
  },
  balance_overflow: {
    status: 422,
    title: 'Balance overflow',
    cause: 'The total debits or credits of an account would exceed 9007199254740991 (2^53−1).',
    remedy: 'Use another account.',
  },
  balance_limit_exceeded: {
    status: 422,
    title: 'Balance limit exceeded',
    cause:
      'The balance of the credit account, with what is pending, would exceed the ceiling of the account.',
    remedy: 'Send a smaller amount, or raise the ceiling of the account.',
  },
  ...limitProblems,
  account_frozen: {
    status: 422,
    title: 'Account frozen',
    cause: 'The debits of the debit account, or the credits of the credit account, are frozen.',
    remedy: 'Nothing was posted. Use another account, or have it unfrozen and send a new key.',
  },
  account_closed: {
    status: 422,
    title: 'Account closed',
    cause: 'The debit or credit account is closed.',
    remedy: 'Nothing was posted. Use another account, or reopen it and send a new key.',
  },
  ...accountProblems,
  hold_not_found: {
    status: 404,
    title: 'Hold not found',
    cause: 'No hold of your organization has this ID.',
    remedy: 'Check the ID. GET /v1/accounts/{id}/holds lists the holds of an account.',
  },
  hold_expired: {
    status: 422,
    title: 'Hold expired',
    cause: 'The hold is past its `expiresAt`, by the clock of the database.',
    remedy: 'What it reserved is released. Create another hold, or post a transfer.',
  },
  hold_settled: {
    status: 422,
    title: 'Hold already settled',
    cause: 'The hold was posted or voided before, so it reserves nothing.',
    remedy: 'Read its `state` and `posted`: GET /v1/holds/{id}. Create another hold to reserve more.',
  },
  hold_amount_exceeded: {
    status: 422,
    title: 'Hold amount exceeded',
    cause: 'The amount is larger than what the hold still reserves.',
    remedy: 'Read `remaining`: GET /v1/holds/{id}. Post at most that, and the rest as a transfer.',
  },
  already_reversed: {
    status: 422,
    title: 'Transfer already reversed',
    cause: 'Reversals of the transfer add up to all of its amount.',
    remedy: 'Nothing was posted. GET /v1/transfers/{id}/reversals lists them.',
  },
  reversal_exceeds_transfer: {
    status: 422,
    title: 'Reversal larger than the transfer',
    cause: 'The amount is larger than that of the transfer without what was reversed before.',
    remedy: 'Send a smaller amount, or omit it to reverse all that is left.',
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
  effective_at_not_allowed: {
    status: 422,
    title: 'Time of effect not allowed',
    cause: 'A transfer should take effect in the future, or longer ago than LEDGER_BACKDATE_DAYS allows.',
    remedy: 'Nothing was posted. Fix `effectiveAt`, or omit it to have the transfer take effect now.',
    errors: [{ pointer: '/effectiveAt', detail: 'is more than 31 days ago' }],
  },
  moment_in_future: {
    status: 422,
    title: 'Moment in the future',
    cause: 'Nobody knows yet what is recorded or takes effect by then.',
    remedy: 'Ask for a moment up to now, by the clock of the database, or omit it.',
  },
  statement_too_long: {
    status: 422,
    title: 'Statement too long for PDF',
    cause: 'A statement as PDF has at most 10,000 entries.',
    remedy: 'Choose a shorter period, or CSV or JSON.',
  },
  set_refused: {
    status: 422,
    title: 'Set refused',
    cause: 'At least one movement of the set was refused, so none took effect.',
    remedy: 'Read `errors`, fix or remove those movements, and send the set with a new key.',
    errors: [
      {
        pointer: '/movements/1',
        code: 'insufficient_funds',
        detail: 'What is available in the debit account does not cover the amount.',
      },
    ],
  },
  same_ledger: {
    status: 422,
    title: 'One ledger only',
    cause: 'An exchange is between two ledgers, and its accounts are on one.',
    remedy:
      'Name liquidity accounts on the ledgers of the accounts that pay and are paid, or post a transfer.',
  },
  exchange_not_found: {
    status: 404,
    title: 'Exchange not found',
    cause: 'No exchange of your organization has this ID, or this transfer.',
    remedy: 'Check the ID. GET /v1/accounts/{id}/exchanges lists the exchanges of an account.',
  },
  metadata_too_large: {
    status: 422,
    title: 'Metadata too large',
    cause: 'The metadata of an account or transfer has more than 16384 bytes as compact JSON in UTF-8.',
    remedy:
      'Nothing was stored. Send less, for example the ID of a file or of a record of yours instead of its content.',
  },
  search_not_ready: {
    status: 503,
    title: 'Search not ready',
    cause: 'What was there before the search existed is being added to its index, which happens once.',
    remedy:
      'Retry after the number of seconds in Retry-After. GET /v1/accounts without filters and GET /v1/accounts/{id}/transfers work meanwhile.',
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
