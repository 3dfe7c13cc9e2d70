import type { Exchange, Rounding } from '../exchange.ts';
import type { Hold } from '../hold.ts';
import type { NewHold, NewPost } from '../holds/service.ts';
import type { Transfer } from '../movement.ts';
import type { NewReversal } from '../reversals/service.ts';
import type { NewTransfer } from '../transfers/service.ts';

/** Names a hold: by its ID, or by the index of an earlier movement of the set, which makes it. */
interface HoldTarget {
  readonly holdId?: string | null | undefined;
  readonly holdFrom?: number | null | undefined;
}

/** Names a transfer, in the same way. */
interface TransferTarget {
  readonly transferId?: string | null | undefined;
  readonly transferFrom?: number | null | undefined;
}

/** An exchange as requested: at least one amount is given. */
export interface NewExchange {
  readonly debitAccountId: string;
  readonly sourceLiquidityAccountId: string;
  readonly targetLiquidityAccountId: string;
  readonly creditAccountId: string;
  readonly sourceAmount?: number | null | undefined;
  readonly targetAmount?: number | null | undefined;
  readonly rate: string;
  readonly rounding?: Rounding | null | undefined;
  readonly reference?: string | null | undefined;
  readonly metadata?: Readonly<Record<string, string>> | null | undefined;
}

export const MOVEMENT_TYPES = ['transfer', 'hold', 'post', 'void', 'reverse', 'exchange'] as const;
export type MovementType = (typeof MOVEMENT_TYPES)[number];

/** A movement of a set as requested. A member that is null is absent. */
export type NewMovement =
  | ({ readonly type: 'transfer' } & NewTransfer)
  | ({ readonly type: 'hold' } & NewHold)
  | ({ readonly type: 'post' } & HoldTarget & NewPost)
  | ({ readonly type: 'void' } & HoldTarget)
  | ({ readonly type: 'reverse' } & TransferTarget & NewReversal)
  | ({ readonly type: 'exchange' } & NewExchange);

/** What a movement has posted or made. `existed`: a request whose key has expired, or with the same ID, did it before. */
export type MovementResult =
  | { readonly type: 'transfer' | 'post' | 'reverse'; readonly existed: boolean; readonly transfer: Transfer }
  | { readonly type: 'hold'; readonly existed: boolean; readonly hold: Hold }
  | { readonly type: 'void'; readonly existed: boolean; readonly holdId: string }
  | { readonly type: 'exchange'; readonly existed: boolean; readonly exchange: Exchange };

/** What a movement refers to: by an ID, or by the index of an earlier movement of one of some types. */
interface Reference {
  readonly member: 'hold' | 'transfer';
  readonly id: string | null;
  readonly from: number | null;
  readonly madeBy: readonly MovementType[];
}

function referenceOf(movement: NewMovement): Reference | null {
  switch (movement.type) {
    case 'post':
    case 'void': {
      const { holdId = null, holdFrom = null } = movement;
      return { member: 'hold', id: holdId, from: holdFrom, madeBy: ['hold'] };
    }
    case 'reverse': {
      const { transferId = null, transferFrom = null } = movement;
      const madeBy = ['transfer', 'post', 'reverse'] as const;
      return { member: 'transfer', id: transferId, from: transferFrom, madeBy };
    }
    default:
      return null;
  }
}

/** The index of the earlier movement that a movement refers to, if it does. */
export function indexReferredTo(movement: NewMovement): number | null {
  return referenceOf(movement)?.from ?? null;
}

/** The transfers and changes of holds that a movement is made of. */
export function countOrders({ type }: Pick<NewMovement, 'type'>): 1 | 2 {
  return type === 'exchange' ? 2 : 1;
}

/** What a set is refused for before it is posted, as a predicate of a member. */
export interface SetFault {
  readonly path: readonly (string | number)[];
  readonly detail: string;
}

/** Returns what is wrong with the reference of a movement to an earlier one, or to what existed before. */
export function findTargetFault(movements: readonly NewMovement[], at: number): SetFault | null {
  const reference = referenceOf(movements[at]!);
  if (reference === null) return null;
  const { member, id, from, madeBy } = reference;
  const [idName, fromName] = [`${member}Id`, `${member}From`];
  if (id === null && from === null)
    return { path: [at, idName], detail: `is required, unless \`${fromName}\` is given` };
  if (from === null) return null;
  if (id !== null) return { path: [at, idName], detail: `must be absent if \`${fromName}\` is given` };
  if (from < at && madeBy.includes(movements[from]!.type)) return null;
  const detail = `must be the index of an earlier movement of type ${madeBy.join(', ')}`;
  return { path: [at, fromName], detail };
}
