import { canonicalRate, DEFAULT_ROUNDING, type Quote, quote, toExchangeId } from '../exchange.ts';
import { DEFAULT_EXPIRY_SECONDS, toHoldId } from '../hold.ts';
import {
  BATCH_ITEMS_MAX,
  type DerivedId,
  type HoldOrder,
  type Movement,
  sortMembers,
  type TransferOrder,
} from '../movement.ts';
import type { Draft, MovementContent } from '../submit.ts';
import { countOrders, type MovementType, type NewExchange, type NewMovement } from './set.ts';

/** IDs of demo data: those of the only exchange of a set, and of the transfer of its source. */
export interface ExchangeIds {
  readonly exchange: string;
  readonly sourceTransfer: string;
}

type Of<T extends MovementType> = Extract<NewMovement, { readonly type: T }>;
type Derive = (index: number) => DerivedId;
interface Drafted {
  readonly content: MovementContent & { readonly type: MovementType; readonly [member: string]: unknown };
  readonly orders: readonly Movement[];
}
interface Text {
  readonly reference?: string | null | undefined;
  readonly metadata?: Readonly<Record<string, string>> | null | undefined;
}

/** Drafts the orders of a set, which {@link findTargetFault} has found no fault in. Content is canonical. */
export function draftSet(movements: readonly NewMovement[], derive: Derive, chosen?: ExchangeIds): Draft {
  /** What movements make, by index: a hold or a transfer. */
  const made: string[] = [];
  let position = 0;
  const drafted = movements.map((movement): Drafted => {
    const one = draftMovement(movement, position, derive, made, chosen);
    position += countOrders(movement);
    made.push(one.orders[0]!.id);
    return one;
  });
  return {
    contents: drafted.map(({ content }) => content),
    orders: drafted.flatMap(({ orders }) => orders),
  };
}

function draftMovement(
  movement: NewMovement,
  position: number,
  derive: Derive,
  made: readonly string[],
  chosen?: ExchangeIds,
): Drafted {
  switch (movement.type) {
    case 'transfer':
      return draftTransfer(movement, derive(position));
    case 'hold':
      return draftHold(movement, derive(position));
    case 'post':
    case 'void':
      return draftSettlement(movement, derive(position), made);
    case 'reverse':
      return draftReversal(movement, derive(position), made);
    case 'exchange': {
      // Where no other transfer can be: if one of both exists, it was posted by an exchange, and so was the other.
      const legs = [0, 1].map((leg) => derive(BATCH_ITEMS_MAX + position + leg));
      return draftExchange(movement, legs[0]!, legs[1]!, chosen);
    }
  }
}

function draftTransfer(transfer: Of<'transfer'>, derived: DerivedId): Drafted {
  const flow = flowOf(transfer);
  const content = { type: 'transfer' as const, id: transfer.id ?? null, ...flow };
  const order: TransferOrder = { ...(transfer.id == null ? derived : { id: transfer.id }), ...flow };
  return { content, orders: [order] };
}

function draftHold(hold: Of<'hold'>, { id }: DerivedId): Drafted {
  const content = { ...flowOf(hold), expiresInSeconds: hold.expiresInSeconds ?? DEFAULT_EXPIRY_SECONDS };
  const order: HoldOrder = { kind: 'hold', id: toHoldId(id), ...content };
  return { content: { type: 'hold', ...content }, orders: [order] };
}

function draftSettlement(
  movement: Of<'post'> | Of<'void'>,
  derived: DerivedId,
  made: readonly string[],
): Drafted {
  const target = { holdId: movement.holdId ?? null, holdFrom: movement.holdFrom ?? null };
  const holdId = target.holdId ?? made[target.holdFrom!]!;
  if (movement.type === 'void')
    return {
      content: { type: 'void', ...target },
      orders: [{ kind: 'void', id: derived.id, holdId, isBrief: true }],
    };
  const terms = {
    amount: movement.amount ?? null,
    keepRest: movement.keepRest ?? false,
    ...textOf(movement),
  };
  return {
    content: { type: 'post', ...target, ...terms },
    orders: [{ kind: 'post', ...derived, holdId, ...terms }],
  };
}

function draftReversal(reversal: Of<'reverse'>, derived: DerivedId, made: readonly string[]): Drafted {
  const target = { transferId: reversal.transferId ?? null, transferFrom: reversal.transferFrom ?? null };
  const terms = { amount: reversal.amount ?? null, force: reversal.force ?? false, ...textOf(reversal) };
  const transferId = target.transferId ?? made[target.transferFrom!]!;
  return {
    content: { type: 'reverse', ...target, ...terms },
    orders: [{ kind: 'reverse', ...derived, transferId, ...terms }],
  };
}

function draftExchange(
  exchange: Of<'exchange'>,
  sourceId: DerivedId,
  targetId: DerivedId,
  chosen?: ExchangeIds,
): Drafted {
  const terms = { rate: canonicalRate(exchange.rate), rounding: exchange.rounding ?? DEFAULT_ROUNDING };
  const accounts = {
    debitAccountId: exchange.debitAccountId,
    sourceLiquidityAccountId: exchange.sourceLiquidityAccountId,
    targetLiquidityAccountId: exchange.targetLiquidityAccountId,
    creditAccountId: exchange.creditAccountId,
  };
  const amounts = {
    sourceAmount: exchange.sourceAmount ?? null,
    targetAmount: exchange.targetAmount ?? null,
  };
  const text = textOf(exchange);
  const { sourceAmount, targetAmount, fixedSide } = quoted(exchange);
  const source = chosen === undefined ? sourceId : { id: chosen.sourceTransfer };
  const orders: TransferOrder[] = [
    {
      ...source,
      debitAccountId: accounts.debitAccountId,
      creditAccountId: accounts.sourceLiquidityAccountId,
      amount: sourceAmount,
      ...text,
      exchange: { id: chosen?.exchange ?? toExchangeId(sourceId.id), ...terms, fixedSide },
    },
    {
      ...targetId,
      debitAccountId: accounts.targetLiquidityAccountId,
      creditAccountId: accounts.creditAccountId,
      amount: targetAmount,
      ...text,
    },
  ];
  return { content: { type: 'exchange', ...accounts, ...amounts, ...terms, ...text }, orders };
}

function quoted(exchange: NewExchange): Quote {
  const found = quote(exchange);
  if ('detail' in found) throw new Error(`${found.member} ${found.detail}`);
  return found;
}

function flowOf(movement: Of<'transfer'> | Of<'hold'>) {
  const { debitAccountId, creditAccountId, amount } = movement;
  return { debitAccountId, creditAccountId, amount, ...textOf(movement) };
}

function textOf({ reference, metadata }: Text) {
  return { reference: reference ?? null, metadata: sortMembers(metadata ?? {}) };
}
