import { createHash } from 'node:crypto';
import type { ErrorCode } from '../../errors.ts';
import type { ExchangeTerms } from './exchange.ts';
import type { Hold, HoldContent } from './hold.ts';
import type { ExceededLimit } from './limit.ts';

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
  /** When it takes effect, with milliseconds, in UTC; absent if that is when it is posted. */
  readonly effectiveAt?: string;
}

/** A posted transfer. Immutable. */
export interface Transfer extends TransferContent {
  readonly effectiveAt: string;
  readonly ledger: string;
  /** The hold that it posts. */
  readonly holdId: string | null;
  /** The transfer that it reverses. */
  readonly reversesId: string | null;
  readonly createdAt: string;
}

/** Returns the members sorted by name, so that equal content serializes to equal text. */
export function sortMembers(metadata: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const names = Object.keys(metadata);
  return names.length < 2
    ? metadata
    : Object.fromEntries(names.sort().map((name) => [name, metadata[name]!]));
}

/** A transfer to post, with its ID assigned. */
export interface TransferOrder extends TransferContent {
  readonly kind?: undefined;
  /** The ID that the previous release derives for it. Absent if the caller chose the ID. */
  readonly formerId?: string;
  /** It pays the source of this exchange, and the order after it pays the target. The request is atomic. */
  readonly exchange?: ExchangeTerms;
}

/** Reserves money, with the ID of the hold assigned. */
export interface HoldOrder extends HoldContent {
  readonly kind: 'hold';
  readonly id: string;
}

/** What the transfer of a post or reversal is described by. An amount of null is all that is left. */
interface PartContent {
  readonly amount: number | null;
  readonly reference: string | null;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Posts a hold. Unless it keeps the rest, it releases what it does not post. */
export interface PostOrder extends PartContent {
  readonly kind: 'post';
  readonly holdId: string;
  readonly keepRest: boolean;
  /** Of the transfer. */
  readonly id: string;
  readonly formerId: string;
}

/** Releases what a hold still reserves. */
export interface VoidOrder {
  readonly kind: 'void';
  /** Derived like the ID of a transfer, so that it is unique. Nothing has it. */
  readonly id: string;
  readonly holdId: string;
  /** Its result has no hold: a request may void many, whose metadata is not bounded by that of the request. */
  readonly isBrief?: boolean;
}

/** Reverses a transfer. With `force`, even if that overdraws the account. */
export interface ReverseOrder extends PartContent {
  readonly kind: 'reverse';
  readonly transferId: string;
  readonly force: boolean;
  /** Of the transfer that reverses the other. Like that of a {@link TransferOrder}. */
  readonly id: string;
  readonly formerId?: string;
  readonly effectiveAt?: string;
}

/** The id of a transfer whose caller chose none. */
export interface DerivedId {
  readonly id: string;
  /** The id that the previous release derives, without the secret. Fingerprints contain it. */
  readonly formerId: string;
}

/** Everything that moves or reserves money. */
export type Movement = TransferOrder | HoldOrder | PostOrder | VoidOrder | ReverseOrder;

/** Why a transfer was refused by a business rule. Stored under the idempotency key like a success. */
export const TRANSFER_REFUSALS = [
  'same_account',
  'unknown_account',
  'different_ledgers',
  'account_frozen',
  'account_closed',
  'insufficient_funds',
  'balance_overflow',
  'balance_limit_exceeded',
  'limit_exceeded',
  'transfer_id_taken',
] as const satisfies ErrorCode[];

/** Why an item was refused by a business rule. */
export type Refusal =
  | (typeof TRANSFER_REFUSALS)[number]
  | Extract<
      ErrorCode,
      | 'hold_not_found'
      | 'hold_expired'
      | 'hold_settled'
      | 'hold_amount_exceeded'
      | 'transfer_not_found'
      | 'already_reversed'
      | 'reversal_exceeds_transfer'
      | 'idempotency_key_reused'
    >;

/** Outcome of one item. `exists`: it was already posted. `rolled_back`: another item of the batch was refused. */
export type Outcome = 'posted' | 'exists' | 'rolled_back' | Refusal;

/** The outcome of one item, with its transfer or hold if one exists. */
export interface ItemResult {
  readonly outcome: Outcome;
  readonly id: string;
  readonly transfer: Transfer | null;
  readonly hold?: Hold;
  /** The limit across accounts that refused it. */
  readonly limit?: ExceededLimit;
}

/** A request to post one movement or a batch under one idempotency key. */
export interface PostRequest {
  readonly owner: string;
  readonly key: string;
  /** SHA-256 of method, path, and canonical body, in hex. */
  readonly fingerprint: string;
  readonly atomic: boolean;
  readonly orders: readonly Movement[];
}

/** A request of transfers only. */
export interface TransferRequest extends PostRequest {
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
export function fingerprintOf(path: string, atomic: boolean, contents: readonly object[]): string {
  return createHash('sha256')
    .update(`POST\0${path}\0${atomic}\0${JSON.stringify(contents)}`)
    .digest('hex');
}

/** The `detail` of each refusal. The page of the code explains more. */
export const REFUSAL_DETAILS: Readonly<Record<Refusal, string>> = {
  same_account: 'The debit and credit accounts are the same.',
  unknown_account: 'The debit or credit account does not exist, or your organization may not use it.',
  different_ledgers: 'The accounts are on different ledgers.',
  account_frozen: 'An account is frozen in this direction.',
  account_closed: 'An account is closed.',
  insufficient_funds: 'What is available in the debit account does not cover the amount.',
  balance_overflow: 'The total debits or credits of an account would exceed 2^53−1.',
  balance_limit_exceeded: 'The balance of the credit account would exceed its limit.',
  limit_exceeded: 'A limit across accounts would be exceeded.',
  transfer_id_taken: 'This ID is not available: it is taken, or of a version that Atlas assigns (UUIDv8).',
  hold_not_found: 'The hold does not exist.',
  hold_expired: 'The hold has expired, so nothing of it can be posted or voided.',
  hold_settled: 'The hold was posted or voided before, so it reserves nothing.',
  hold_amount_exceeded: 'The amount is larger than what the hold still reserves.',
  transfer_not_found: 'The transfer does not exist.',
  already_reversed: 'All of the transfer was reversed before.',
  reversal_exceeds_transfer: 'The amount is larger than what is left to reverse.',
  idempotency_key_reused: 'This Idempotency-Key was already used for another request.',
};
