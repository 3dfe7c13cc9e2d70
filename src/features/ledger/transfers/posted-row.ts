import { toHold } from '../hold-row.ts';
import { type ReadOutcome, readOutcome } from '../limit.ts';
import type { ItemResult, Movement, PostRequest, PostResult } from '../movement.ts';
import { transferOf } from '../transfer-row.ts';

/** The row of `post_movements`, where null stands for the usual case. */
export interface PostedRow {
  postedAt: Date;
  waitedMs: number;
  states: ('fresh' | 'replayed' | 'reused')[] | null;
  /** As `limit.ts` reads them. */
  outcomes: (string | null)[] | null;
  transferIds: string[] | null;
  ledgers: (string | null)[];
  /** What posts and reversals have moved. Null if there are only transfers. */
  debitIds: (string | null)[] | null;
  creditIds: (string | null)[] | null;
  amounts: (number | null)[] | null;
}

/** A result of a request, with the kind of its movement. */
export interface StoredItem {
  readonly kind: Movement['kind'];
  readonly state: 'fresh' | 'replayed';
  readonly item: ItemResult;
}

const POSTED: ReadOutcome = { outcome: 'posted' };

/** Returns the results of requests, without the transfers and holds that were stored before. */
export function readResults(requests: readonly PostRequest[], row: PostedRow): PostResult[] {
  const { states, outcomes, transferIds } = row;
  let i = 0;
  return requests.map((request, r): PostResult => {
    const state = states === null ? 'fresh' : states[r]!;
    if (state === 'reused') {
      i += request.orders.length;
      return { state };
    }
    const items = request.orders.map((order): ItemResult => {
      const at = i++;
      const { outcome, ...limit } = outcomes === null ? POSTED : readOutcome(outcomes[at]!);
      const id = transferIds === null ? order.id : transferIds[at]!;
      if (outcome !== 'posted' || state === 'replayed') return { outcome, id, transfer: null, ...limit };
      return { outcome, id, ...postedOf(order, row, at) };
    });
    return { state, items };
  });
}

/** Returns what an item has posted just now. That of a void is read. */
function postedOf(order: Movement, row: PostedRow, at: number): Pick<ItemResult, 'transfer' | 'hold'> {
  const ledger = row.ledgers.length === 1 ? row.ledgers[0]! : row.ledgers[at]!;
  const createdAt = row.postedAt.toISOString();
  if (order.kind === undefined) return { transfer: transferOf(order, ledger, createdAt) };
  if (order.kind === 'hold') {
    const expiresAt = new Date(row.postedAt.getTime() + order.expiresInSeconds * 1000);
    const facts = { ...order, ledger, posted: 0, state: 'pending' as const, settledAt: null };
    return { transfer: null, hold: toHold({ ...facts, createdAt: row.postedAt, expiresAt }) };
  }
  if (order.kind === 'void') return { transfer: null };
  const content = {
    ...order,
    debitAccountId: row.debitIds![at]!,
    creditAccountId: row.creditIds![at]!,
    amount: row.amounts![at]!,
  };
  const holdId = order.kind === 'post' ? order.holdId : null;
  const reversesId = order.kind === 'reverse' ? order.transferId : null;
  return { transfer: transferOf(content, ledger, createdAt, holdId, reversesId) };
}

/** Returns the results whose transfer or hold must be read: of voids, unless brief, and of what was done before. */
export function storedItems(requests: readonly PostRequest[], results: readonly PostResult[]): StoredItem[] {
  return results.flatMap((result, r) =>
    result.state === 'reused'
      ? []
      : result.items
          .map((item, i): StoredItem => ({ kind: requests[r]!.orders[i]!.kind, state: result.state, item }))
          .filter((stored, i) => isStored(stored) && !isBrief(requests[r]!.orders[i]!)),
  );
}

function isBrief(order: Movement): boolean {
  return order.kind === 'void' && order.isBrief === true;
}

function isStored({ kind, state, item: { outcome } }: StoredItem): boolean {
  return outcome === 'exists' || (outcome === 'posted' && (state === 'replayed' || kind === 'void'));
}
