import { AtlasError, type InputError } from '../../../errors.ts';
import type { Abortable } from '../../../utils/abortable.ts';
import type { Exchange } from '../exchange.ts';
import { type ItemResult, REFUSAL_DETAILS } from '../movement.ts';
import { refusalDetail } from '../refusal-detail.ts';
import type { Posted, RequestIdentity, Submit } from '../submit.ts';
import { draftSet, type ExchangeIds } from './draft-set.ts';
import type { ExchangeRepository } from './repository.ts';
import {
  countOrders,
  indexReferredTo,
  type MovementResult,
  type MovementType,
  type NewMovement,
} from './set.ts';
import type { SetOutcomes } from './set-outcomes.ts';

/** Operations on sets. All throw `AtlasError`. */
export interface SetService {
  /**
   * Posts all movements of a set, in order, or none: then it throws `set_refused`, which names those that were refused.
   * They must have no faults that {@link findTargetFault} and `quote` find. `ids` is for demo data.
   */
  post(
    identity: RequestIdentity,
    movements: readonly NewMovement[],
    caller?: Abortable,
    ids?: ExchangeIds,
  ): Promise<Posted<readonly MovementResult[]>>;
}

/** A movement, and the results of the orders that it is made of. */
interface Part {
  readonly movement: NewMovement;
  readonly items: readonly ItemResult[];
}

export function createSetService(
  { readBySource }: Pick<ExchangeRepository, 'readBySource'>,
  submit: Submit,
  outcomes: SetOutcomes,
): SetService {
  return {
    async post(identity, movements, caller, ids) {
      const { items, replayed } = await submit.all(
        identity,
        true,
        (derive) => draftSet(movements, derive, ids),
        (index) => `/movements/${index}/metadata`,
        caller,
      );
      const parts = split(movements, items);
      const errors = refusalsOf(parts);
      if (!replayed) outcomes.count(errors.length > 0, parts.map(labelOf));
      if (errors.length > 0) throw setRefused(errors, parts.length, replayed);
      const sources = parts.flatMap((part) => (part.movement.type === 'exchange' ? [part.items[0]!.id] : []));
      const exchanges = await readBySource(sources);
      return { result: parts.map((part) => resultOf(part, exchanges)), replayed };
    },
  };
}

function split(movements: readonly NewMovement[], items: readonly ItemResult[]): Part[] {
  let position = 0;
  return movements.map((movement) => {
    const first = position;
    position += countOrders(movement);
    return { movement, items: items.slice(first, position) };
  });
}

function resultOf({ movement, items }: Part, exchanges: ReadonlyMap<string, Exchange>): MovementResult {
  const [{ id, outcome, transfer, hold }] = items as [ItemResult];
  const existed = outcome === 'exists';
  const { type } = movement;
  if (type === 'exchange') return { type, existed, exchange: exchanges.get(id)! };
  if (type === 'hold') return { type, existed, hold: hold! };
  if (type === 'void') return { type, existed, holdId: id };
  return { type, existed, transfer: transfer! };
}

/**
 * Returns why movements were refused. A movement that refers to a refused one is not to blame: what it refers to does
 * not exist.
 */
function refusalsOf(parts: readonly Part[]): InputError[] {
  const missing = new Set<number>();
  return parts.flatMap(({ movement, items }, at): InputError[] => {
    const refused = items.filter(({ outcome }) => outcome in REFUSAL_DETAILS);
    if (refused.length > 0) missing.add(at);
    const from = indexReferredTo(movement);
    if (from !== null && missing.has(from) && refused.some(isOfMissing)) return [];
    return refused.map((item) => {
      const [code, detail] = reasonOf(movement, item);
      const transfer = item === items[0] ? 'Transfer of the source' : 'Transfer of the target';
      const text = movement.type === 'exchange' ? `${transfer}: ${detail}` : detail;
      return { pointer: `/movements/${at}`, code, detail: text };
    });
  });
}

function isOfMissing({ outcome }: ItemResult): boolean {
  return outcome === 'hold_not_found' || outcome === 'transfer_not_found';
}

function reasonOf({ type }: NewMovement, item: ItemResult): readonly [code: string, detail: string] {
  // No exchange is from an account to itself otherwise.
  const { outcome } = item;
  if (type === 'exchange' && outcome === 'same_account')
    return ['same_ledger', 'All accounts of the exchange are on one ledger.'];
  return [outcome, refusalDetail(item)];
}

/** The outcome of a movement as labels. An exchange has that of its first transfer that has another one than `posted`. */
function labelOf({ movement, items }: Part): readonly [type: MovementType, outcome: string] {
  const item = items.find(({ outcome }) => outcome in REFUSAL_DETAILS) ?? items[0]!;
  return [movement.type, reasonOf(movement, item)[0]];
}

function setRefused(errors: readonly InputError[], movements: number, replayed: boolean): AtlasError {
  const refused = new Set(errors.map(({ pointer }) => pointer)).size;
  return new AtlasError(
    'set_refused',
    `${refused} of ${movements} movements were refused, so nothing was posted.`,
    { errors, ...(replayed && { headers: { 'Idempotency-Replayed': 'true' } }) },
  );
}
