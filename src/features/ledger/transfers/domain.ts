import { createHash } from 'node:crypto';
import type { ErrorCode } from '../../../errors.ts';

/** Maximum transfers per request. */
export const BATCH_ITEMS_MAX = 1000;

/** What a transfer moves. `amount` is in minor units of the ledger's currency. */
export interface TransferContent {
  readonly id: string;
  readonly debitAccountId: string;
  readonly creditAccountId: string;
  readonly amount: number;
  readonly reference: string | null;
  readonly metadata: Readonly<Record<string, string>>;
}

/** A transfer to post, with its ID assigned. */
export interface TransferOrder extends TransferContent {
  /** The ID that the previous release derives for it. Absent if the caller chose the ID. */
  readonly formerId?: string;
}

/** A posted transfer. Immutable. */
export interface Transfer extends TransferContent {
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
 * Returns the SHA-256, in hex, that identifies equal requests. The contents must be canonical, with sorted metadata.
 * Where the caller chose no ID they have the former one, like the stored ones and those of the previous release.
 */
export function fingerprintOf(path: string, atomic: boolean, contents: readonly TransferContent[]): string {
  return createHash('sha256')
    .update(`POST\0${path}\0${atomic}\0${JSON.stringify(contents)}`)
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
  unknown_account: 'The debit or credit account does not exist, or your organization may not use it.',
  different_ledgers: 'The accounts are on different ledgers.',
  insufficient_funds: 'The balance of the debit account does not cover the amount.',
  balance_overflow: 'The total debits or credits of an account would exceed 2^53−1.',
  transfer_id_taken: 'This ID is not available: it is taken, or of a version that Atlas assigns (UUIDv8).',
};
