import { createHash } from 'node:crypto';
import type { ErrorCode } from '../../../errors.ts';

/** Maximum transfers per request. */
export const BATCH_ITEMS_MAX = 1000;

/** A transfer to post, with its ID assigned. `amount` is in minor units of the ledger's currency. */
export interface TransferOrder {
  readonly id: string;
  readonly debitAccountId: string;
  readonly creditAccountId: string;
  readonly amount: number;
  readonly reference: string | null;
  readonly metadata: Readonly<Record<string, string>>;
}

/** A posted transfer. Immutable. */
export interface Transfer extends TransferOrder {
  readonly ledger: string;
  readonly createdAt: string;
}

/** Why an item was refused by a business rule. Stored under the idempotency key like a success. */
export type Refusal = Extract<
  ErrorCode,
  | 'same_account'
  | 'unknown_account'
  | 'different_ledgers'
  | 'insufficient_funds'
  | 'balance_overflow'
  | 'transfer_id_taken'
>;

/** Outcome of one item. `exists`: it was already posted. `rolled_back`: another item of the batch was refused. */
export type Outcome = 'posted' | 'exists' | 'rolled_back' | Refusal;

/** The outcome of one item, with its transfer if one exists. */
export interface ItemResult {
  readonly outcome: Outcome;
  readonly id: string;
  readonly transfer: Transfer | null;
}

/** A request to post one transfer or a batch under one idempotency key. */
export interface PostRequest {
  readonly owner: string;
  readonly key: string;
  /** SHA-256 of method, path, and canonical body, in hex. */
  readonly fingerprint: string;
  readonly atomic: boolean;
  readonly orders: readonly TransferOrder[];
}

/** The result of a request. `reused`: the key belongs to a different request. */
export type PostResult =
  | { readonly state: 'fresh' | 'replayed'; readonly items: readonly ItemResult[] }
  | { readonly state: 'reused' };

/**
 * Derives the ID of a transfer without one: a UUIDv8 (RFC 9562) of SHA-256 over owner, key, and position. A retry
 * derives the same ID, so nothing is posted twice even after the key has expired (30 days).
 */
export function deriveTransferId(owner: string, key: string, index: number): string {
  const hex = createHash('sha256').update(`${owner}\0${key}\0${index}`).digest('hex');
  const variant = '89ab'[Number.parseInt(hex[16]!, 16) & 3];
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** Returns the SHA-256, in hex, that identifies equal requests. `orders` must be canonical, with sorted metadata. */
export function fingerprintOf(path: string, atomic: boolean, orders: readonly TransferOrder[]): string {
  return createHash('sha256')
    .update(`POST\0${path}\0${atomic}\0${JSON.stringify(orders)}`)
    .digest('hex');
}

/** Returns the members sorted by name, so that equal content serializes to equal text. */
export function sortMembers(metadata: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const names = Object.keys(metadata);
  return names.length < 2
    ? metadata
    : Object.fromEntries(names.sort().map((name) => [name, metadata[name]!]));
}

/** The `detail` of each refusal. The page of the code explains more. */
export const REFUSAL_DETAILS: Readonly<Record<Refusal, string>> = {
  same_account: 'The debit and credit accounts are the same.',
  unknown_account: 'The debit or credit account does not exist.',
  different_ledgers: 'The accounts are on different ledgers.',
  insufficient_funds: 'The balance of the debit account does not cover the amount.',
  balance_overflow: 'The total debits or credits of an account would exceed 2^53−1.',
  transfer_id_taken: 'A transfer with this ID and different content exists.',
};
