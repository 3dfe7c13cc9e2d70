import type { Movement, Outcome } from '../../../src/features/ledger/movement.ts';
import type { DrawnCall, DrawnMovement } from './program.ts';

const TEXT = { reference: null, metadata: {} };
const EXPIRES_SOON_SECONDS = 1;
const EXPIRES_LATE_SECONDS = 86_400;
const DONE: ReadonlySet<Outcome> = new Set(['posted', 'exists', 'rolled_back']);
const MISSING: ReadonlySet<Outcome> = new Set(['hold_not_found', 'transfer_not_found']);

/** What a program has made so far, oldest first. */
export interface Made {
  readonly accountIds: readonly string[];
  readonly holds: readonly string[];
  readonly transfers: readonly string[];
}

/** A request, and what it does, for the model. */
export interface ProgramRequest {
  readonly path: string;
  readonly json?: object;
  readonly orders: readonly Movement[];
  readonly atomic?: boolean;
  /** The outcomes that the response has, if it does not have all. */
  namedOf?(outcomes: readonly Outcome[]): readonly Outcome[];
}

/** A movement of a set, and the index of the earlier one whose result it needs. */
interface Member {
  readonly order: Movement;
  readonly json: object;
  readonly from: number | null;
}

/** Returns the request of a drawn call. */
export function requestOf(
  drawn: Exclude<DrawnCall, { kind: 'read' | 'replay' | 'change' | 'late' }>,
  made: Made,
): ProgramRequest {
  if (drawn.kind === 'set') return setOf(drawn.movements, made);
  if (drawn.kind === 'batch') {
    const transfers = drawn.transfers.map((item) => sidesOf(item, made));
    const orders = transfers.map((item) => ({ id: crypto.randomUUID(), ...item, ...TEXT }));
    const { atomic } = drawn;
    return { path: '/v1/transfers/batch', json: { transfers, atomic }, orders, atomic };
  }
  const order = orderOf(drawn, made);
  const orders = [order];
  if (order.kind === 'void') return { path: `/v1/holds/${order.holdId}/void`, orders };
  if (order.kind === 'post') {
    const { holdId, amount, keepRest } = order;
    return { path: `/v1/holds/${holdId}/post`, json: { amount, keepRest }, orders };
  }
  if (order.kind === 'reverse') {
    const { transferId, amount, force } = order;
    return { path: `/v1/transfers/${transferId}/reverse`, json: { amount, force }, orders };
  }
  const { debitAccountId, creditAccountId, amount } = order;
  const sides = { debitAccountId, creditAccountId, amount };
  if (order.kind === undefined) return { path: '/v1/transfers', json: sides, orders };
  return { path: '/v1/holds', json: { ...sides, expiresInSeconds: order.expiresInSeconds }, orders };
}

/** Returns the request that posts all of a hold. */
export function postOf(holdId: string): ProgramRequest {
  const id = crypto.randomUUID();
  const order = { kind: 'post' as const, id, formerId: id, holdId, amount: null, keepRest: false, ...TEXT };
  return { path: `/v1/holds/${holdId}/post`, json: {}, orders: [order] };
}

function setOf(drawn: readonly DrawnMovement[], made: Made): ProgramRequest {
  const members: Member[] = [];
  for (const one of drawn) members.push(memberOf(one, members, made));
  return {
    path: '/v1/sets',
    json: { movements: members.map(({ json }) => json) },
    orders: members.map(({ order }) => order),
    atomic: true,
    // What needs the result of a movement that was refused is not named.
    namedOf(outcomes) {
      const refused = new Set<number>();
      return outcomes.map((outcome, i) => {
        if (DONE.has(outcome)) return outcome;
        refused.add(i);
        const { from } = members[i]!;
        return from !== null && refused.has(from) && MISSING.has(outcome) ? 'rolled_back' : outcome;
      });
    },
  };
}

function memberOf(drawn: DrawnMovement, before: readonly Member[], made: Made): Member {
  const order = orderOf(drawn, made);
  const isLocal = 'isLocal' in drawn && drawn.isLocal;
  if (order.kind === 'post' || order.kind === 'void') {
    const from = isLocal ? before.findLastIndex((one) => one.order.kind === 'hold') : -1;
    const holdId = before[from]?.order.id ?? order.holdId;
    const target = from < 0 ? { holdId } : { holdFrom: from };
    const rest = order.kind === 'void' ? {} : { amount: order.amount, keepRest: order.keepRest };
    return {
      order: { ...order, holdId },
      json: { type: order.kind, ...target, ...rest },
      from: from < 0 ? null : from,
    };
  }
  if (order.kind === 'reverse') {
    const from = isLocal ? before.findLastIndex((one) => isTransfer(one.order)) : -1;
    const transferId = before[from]?.order.id ?? order.transferId;
    const target = from < 0 ? { transferId } : { transferFrom: from };
    const { amount, force } = order;
    return {
      order: { ...order, transferId },
      json: { type: 'reverse', ...target, amount, force },
      from: from < 0 ? null : from,
    };
  }
  const { debitAccountId, creditAccountId, amount } = order;
  const sides = { debitAccountId, creditAccountId, amount };
  return { order, json: { type: order.kind ?? 'transfer', ...sides }, from: null };
}

/** Whether a movement posts a transfer. */
export function isTransfer({ kind }: Movement): boolean {
  return kind !== 'hold' && kind !== 'void';
}

function orderOf(
  drawn: Extract<DrawnCall, { kind: 'transfer' | 'hold' | 'post' | 'void' | 'reverse' }> | DrawnMovement,
  made: Made,
): Movement {
  const id = crypto.randomUUID();
  const ids = { id, formerId: id };
  if (drawn.kind === 'post' || drawn.kind === 'void') {
    const holdId = made.holds.at(-1 - drawn.back) ?? crypto.randomUUID();
    if (drawn.kind === 'void') return { kind: 'void', id, holdId };
    const { amount, keepRest } = drawn;
    return { kind: 'post', ...ids, holdId, amount, keepRest, ...TEXT };
  }
  if (drawn.kind === 'reverse') {
    const transferId = made.transfers.at(-1 - drawn.back) ?? crypto.randomUUID();
    const { amount, force } = drawn;
    return { kind: 'reverse', ...ids, transferId, amount, force, ...TEXT };
  }
  const sides = sidesOf(drawn, made);
  if (drawn.kind === 'transfer') return { id, ...sides, ...TEXT };
  const expiresSoon = 'expiresSoon' in drawn && drawn.expiresSoon;
  const expiresInSeconds = expiresSoon ? EXPIRES_SOON_SECONDS : EXPIRES_LATE_SECONDS;
  return { kind: 'hold', id, expiresInSeconds, ...sides, ...TEXT };
}

function sidesOf(
  { debit, credit, amount }: { readonly debit: number; readonly credit: number; readonly amount: number },
  { accountIds }: Made,
) {
  return { debitAccountId: accountIds[debit]!, creditAccountId: accountIds[credit]!, amount };
}
