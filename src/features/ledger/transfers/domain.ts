import { createHash } from 'node:crypto';
import type { ErrorCode } from '../../../errors.ts';

/** Transfers that one request may hold. */
export const BATCH_ITEMS_MAX = 1000;

/** What a caller asks for, with its id settled. Amounts are whole minor units of the ledger's currency. */
export interface TransferOrder {
  readonly id: string;
  readonly debitAccountId: string;
  readonly creditAccountId: string;
  readonly amount: number;
  readonly reference: string | null;
  readonly metadata: Readonly<Record<string, string>>;
}

/** A posted transfer. It never changes. */
export interface Transfer extends TransferOrder {
  readonly ledger: string;
  readonly createdAt: string;
}

/** Why an item was not posted: a refusal that the business decides, stored under the key like a success. */
export type Refusal = Extract<
  ErrorCode,
  | 'same_account'
  | 'unknown_account'
  | 'different_ledgers'
  | 'insufficient_funds'
  | 'balance_overflow'
  | 'transfer_id_taken'
>;

/** What became of one item. `exists`: the same transfer was there. `rolled_back`: another item of its batch was refused. */
export type Outcome = 'posted' | 'exists' | 'rolled_back' | Refusal;

/** One item's outcome, with its transfer where there is one. */
export interface ItemResult {
  readonly outcome: Outcome;
  readonly id: string;
  readonly transfer: Transfer | null;
}

/** One request to post: a single transfer or a batch, under one key. */
export interface PostRequest {
  readonly owner: string;
  readonly key: string;
  /** SHA-256 of method, path and canonical body, in hex. */
  readonly fingerprint: string;
  readonly atomic: boolean;
  readonly orders: readonly TransferOrder[];
}

/** What became of a request. `reused`: its key belongs to another request. */
export type PostResult =
  | { readonly state: 'fresh' | 'replayed'; readonly items: readonly ItemResult[] }
  | { readonly state: 'reused' };

/**
 * The id of a transfer whose caller gave none: a UUIDv8 (RFC 9562) of SHA-256 over owner, key and position. The same
 * request sent again makes the same id, so even a key that was forgotten after 30 days posts nothing twice.
 */
export function deriveTransferId(owner: string, key: string, index: number): string {
  const hex = createHash('sha256').update(`${owner}\0${key}\0${index}`).digest('hex');
  const variant = '89ab'[Number.parseInt(hex[16]!, 16) & 3];
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** SHA-256 in hex of what makes two requests the same. Orders are canonical: one order of members, sorted metadata. */
export function fingerprintOf(path: string, atomic: boolean, orders: readonly TransferOrder[]): string {
  return createHash('sha256')
    .update(`POST\0${path}\0${atomic}\0${JSON.stringify(orders)}`)
    .digest('hex');
}

/** The same members in one order, whatever order they came in, so that equal content is equal text. */
export function sortMembers(metadata: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const names = Object.keys(metadata);
  return names.length < 2
    ? metadata
    : Object.fromEntries(names.sort().map((name) => [name, metadata[name]!]));
}

/** What a caller is told of a refusal. The page of the code says more. */
export const REFUSAL_DETAILS: Readonly<Record<Refusal, string>> = {
  same_account: 'The debit and the credit account are the same.',
  unknown_account: 'The debit or the credit account does not exist.',
  different_ledgers: 'The accounts are on different ledgers.',
  insufficient_funds: 'The balance of the debit account does not cover the amount.',
  balance_overflow: 'The sum of debits or credits of an account would pass 2^53−1.',
  transfer_id_taken: 'A transfer with this id and other content exists.',
};
