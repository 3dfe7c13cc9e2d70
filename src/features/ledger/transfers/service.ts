import { AtlasError, type InputError } from '../../../errors.ts';
import type { Abortable } from '../../../utils/abortable.ts';
import {
  deriveTransferId,
  fingerprintOf,
  type ItemResult,
  REFUSAL_DETAILS,
  type Refusal,
  sortMembers,
  type Transfer,
  type TransferOrder,
} from './domain.ts';
import type { GroupCommit } from './group-commit.ts';
import type { TransferPage, TransferRepository } from './repository.ts';

/** A transfer as it was asked for. */
export interface NewTransfer {
  readonly id?: string | undefined;
  readonly debitAccountId: string;
  readonly creditAccountId: string;
  readonly amount: number;
  readonly reference?: string | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
}

/** Who asks, under which key, at which path: what makes two requests the same. */
export interface RequestIdentity {
  readonly owner: string;
  readonly key: string;
  readonly path: string;
}

/** What was posted, and whether the answer repeats an earlier one. */
export interface Posted<T> {
  readonly result: T;
  readonly replayed: boolean;
}

/** The verbs of transfers. All throw `AtlasError`. */
export interface TransferService {
  /** Posts one transfer. A refusal is thrown under its code. `existed`: the same transfer was there under its id. */
  post(
    identity: RequestIdentity,
    transfer: NewTransfer,
    caller?: Abortable,
  ): Promise<Posted<{ transfer: Transfer; existed: boolean }>>;
  /** Posts up to 1,000 in order. Refusals are results; with `atomic` a refusal of one is thrown as `batch_refused`. */
  postBatch(
    identity: RequestIdentity,
    transfers: readonly NewTransfer[],
    atomic: boolean,
    caller?: Abortable,
  ): Promise<Posted<readonly ItemResult[]>>;
  find(id: string, signal?: AbortSignal): Promise<Transfer>;
  listByAccount(
    accountId: string,
    beforeVersion: number | null,
    limit: number,
    signal?: AbortSignal,
  ): Promise<TransferPage>;
}

export function createTransferService(
  repository: TransferRepository,
  groupCommit: GroupCommit,
): TransferService {
  async function submit(
    identity: RequestIdentity,
    transfers: readonly NewTransfer[],
    atomic: boolean,
    caller?: Abortable,
  ) {
    const { owner, key, path } = identity;
    const orders = transfers.map((transfer, i) => toOrder(transfer, owner, key, i));
    const fingerprint = fingerprintOf(path, atomic, orders);
    const result = await groupCommit.submit({ owner, key, fingerprint, atomic, orders }, caller);
    if (result.state === 'reused') {
      throw new AtlasError(
        'idempotency_key_reused',
        'This Idempotency-Key was used for a request with another path or body.',
      );
    }
    return { items: result.items, replayed: result.state === 'replayed' };
  }

  return {
    async post(identity, transfer, caller) {
      const { items, replayed } = await submit(identity, [transfer], false, caller);
      const { outcome, transfer: posted } = items[0]!;
      if (posted === null) {
        const headers = replayed ? { 'Idempotency-Replayed': 'true' } : undefined;
        throw new AtlasError(outcome as Refusal, REFUSAL_DETAILS[outcome as Refusal], headers && { headers });
      }
      return { result: { transfer: posted, existed: outcome === 'exists' }, replayed };
    },
    async postBatch(identity, transfers, atomic, caller) {
      const { items, replayed } = await submit(identity, transfers, atomic, caller);
      if (atomic && items.some((item) => item.transfer === null)) throw batchRefused(items, replayed);
      return { result: items, replayed };
    },
    async find(id, signal) {
      const transfer = await repository.find(id, signal);
      if (transfer === null) throw new AtlasError('transfer_not_found', `There is no transfer ${id}.`);
      return transfer;
    },
    listByAccount: repository.listByAccount,
  };
}

function toOrder(transfer: NewTransfer, owner: string, key: string, index: number): TransferOrder {
  return {
    id: transfer.id ?? deriveTransferId(owner, key, index),
    debitAccountId: transfer.debitAccountId,
    creditAccountId: transfer.creditAccountId,
    amount: transfer.amount,
    reference: transfer.reference ?? null,
    metadata: sortMembers(transfer.metadata ?? {}),
  };
}

const BATCH_ERRORS_MAX = 20;

function batchRefused(items: readonly ItemResult[], replayed: boolean): AtlasError {
  const refused = items.flatMap(({ outcome }, i): InputError[] => {
    const detail = REFUSAL_DETAILS[outcome as Refusal];
    return detail === undefined ? [] : [{ pointer: `/transfers/${i}`, code: outcome, detail }];
  });
  return new AtlasError(
    'batch_refused',
    `${refused.length} of ${items.length} transfers were refused, so none was posted.`,
    {
      errors: refused.slice(0, BATCH_ERRORS_MAX),
      ...(replayed && { headers: { 'Idempotency-Replayed': 'true' } }),
    },
  );
}
