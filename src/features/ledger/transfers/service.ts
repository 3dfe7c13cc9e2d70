import { AtlasError, type InputError } from '../../../errors.ts';
import type { Abortable } from '../../../utils/abortable.ts';
import {
  type DerivedId,
  type ItemResult,
  sortMembers,
  type Transfer,
  type TransferContent,
  type TransferOrder,
} from '../movement.ts';
import { refusalDetail } from '../refusal-detail.ts';
import { type Posted, type RequestIdentity, refused, type Submit } from '../submit.ts';
import type { EffectiveTimes } from './effective-times.ts';
import type { TransferRepository } from './repository.ts';

/** A transfer as requested. A member that is null is absent. */
export interface NewTransfer {
  readonly id?: string | null | undefined;
  readonly debitAccountId: string;
  readonly creditAccountId: string;
  readonly amount: number;
  readonly reference?: string | null | undefined;
  readonly metadata?: Readonly<Record<string, string>> | null | undefined;
  readonly effectiveAt?: Date | null | undefined;
}

/** Operations on transfers. All throw `AtlasError`. */
export interface TransferService {
  /** Posts one transfer. Throws a refusal under its code. `existed`: it was already posted with this ID. */
  post(
    identity: RequestIdentity,
    transfer: NewTransfer,
    caller?: Abortable,
  ): Promise<Posted<{ transfer: Transfer; existed: boolean }>>;
  /** Posts up to 1,000 transfers in order. Refusals are results; with `atomic`, any refusal throws `batch_refused`. */
  postBatch(
    identity: RequestIdentity,
    transfers: readonly NewTransfer[],
    atomic: boolean,
    caller?: Abortable,
  ): Promise<Posted<readonly ItemResult[]>>;
  find(owner: string, id: string, caller?: { readonly signal: AbortSignal }): Promise<Transfer>;
  listByAccount: TransferRepository['listByAccount'];
}

/** The reads of the service. `find` may go through a cache. */
export interface TransferReads extends Pick<TransferRepository, 'listByAccount'> {
  find(owner: string, id: string, caller?: { readonly signal: AbortSignal }): Promise<Transfer | null>;
}

export function createTransferService(
  repository: TransferReads,
  submit: Submit,
  requireEffectiveTimes: EffectiveTimes,
): TransferService {
  function submitAll(
    identity: RequestIdentity,
    transfers: readonly NewTransfer[],
    atomic: boolean,
    pointerOf: (index: number) => string,
    caller?: Abortable,
  ) {
    const draft = (derive: (index: number) => DerivedId) => {
      const derived = transfers.map(({ id }, i) => (typeof id === 'string' ? null : derive(i)));
      const contents = transfers.map((transfer, i) => toContent(transfer, derived[i]!));
      const orders = contents.map((content, i): TransferOrder => ({ ...content, ...derived[i] }));
      return { contents, orders };
    };
    const all = () => submit.all(identity, atomic, draft, (index) => `${pointerOf(index)}/metadata`, caller);
    // Nearly always there is nothing to wait for.
    const checking = requireEffectiveTimes(identity, transfers, pointerOf);
    return checking === null ? all() : checking.then(all);
  }

  return {
    async post(identity, transfer, caller) {
      const { items, replayed } = await submitAll(identity, [transfer], false, () => '', caller);
      const { outcome, transfer: posted } = items[0]!;
      if (posted === null) throw refused(items[0]!, replayed);
      return { result: { transfer: posted, existed: outcome === 'exists' }, replayed };
    },
    async postBatch(identity, transfers, atomic, caller) {
      const pointerOf = (index: number) => `/transfers/${index}`;
      const { items, replayed } = await submitAll(identity, transfers, atomic, pointerOf, caller);
      if (atomic && items.some((item) => item.transfer === null)) throw batchRefused(items, replayed);
      return { result: items, replayed };
    },
    async find(owner, id, caller) {
      const transfer = await repository.find(owner, id, caller);
      if (transfer === null) throw new AtlasError('transfer_not_found', `Transfer ${id} does not exist.`);
      return transfer;
    },
    listByAccount: repository.listByAccount,
  };
}

/** Returns the content that the fingerprint is made of. */
function toContent(transfer: NewTransfer, derived: DerivedId | null): TransferContent {
  return {
    id: transfer.id ?? derived!.formerId,
    debitAccountId: transfer.debitAccountId,
    creditAccountId: transfer.creditAccountId,
    amount: transfer.amount,
    reference: transfer.reference ?? null,
    metadata: sortMembers(transfer.metadata ?? {}),
    // Absent where it is not given, so that the fingerprint is that of the releases before.
    ...(transfer.effectiveAt && { effectiveAt: transfer.effectiveAt.toISOString() }),
  };
}

const BATCH_ERRORS_MAX = 20;

function batchRefused(items: readonly ItemResult[], replayed: boolean): AtlasError {
  const refused = items.flatMap((item, i): InputError[] => {
    const detail = refusalDetail(item);
    return detail === undefined ? [] : [{ pointer: `/transfers/${i}`, code: item.outcome, detail }];
  });
  return new AtlasError(
    'batch_refused',
    `${refused.length} of ${items.length} transfers were rejected, so none was posted.`,
    {
      errors: refused.slice(0, BATCH_ERRORS_MAX),
      ...(replayed && { headers: { 'Idempotency-Replayed': 'true' } }),
    },
  );
}
