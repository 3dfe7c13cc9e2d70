import { LIMIT_MAXIMA, type LimitMaximum } from '../../../src/features/ledger/limit.ts';
import type { Movement } from '../../../src/features/ledger/movement.ts';

/** A limit of the model. Missing maxima are none. */
export interface ModelLimit {
  readonly owner: string;
  /** Null for all accounts of the owner. */
  accounts: readonly string[] | null;
  readonly counts: 'debits' | 'credits' | 'both';
  readonly countsInternal: boolean;
  maxima: Partial<Record<LimitMaximum, number>>;
  used: Record<LimitMaximum, number>;
  isDeleted: boolean;
}

/** What a hold has used, and in which hour. */
interface ModelHold {
  readonly debit: string;
  readonly credit: string;
  readonly amount: number;
  readonly hour: number;
  readonly limits: readonly ModelLimit[];
  posted: number;
  state: 'pending' | 'settled';
  isPast: boolean;
}

interface State {
  readonly limits: ModelLimit[];
  readonly holds: Map<string, ModelHold>;
  readonly transfers: Map<string, { readonly debit: string; readonly credit: string; left: number }>;
  hour: number;
}

/** What a movement would take of a limit. */
type Taken = readonly (readonly [limit: ModelLimit, isOthers: boolean])[];

export const NOTHING: Readonly<Record<LimitMaximum, number>> = {
  transferAmount: 0,
  hourAmount: 0,
  hourCount: 0,
  dayAmount: 0,
  dayCount: 0,
  totalAmount: 0,
};

/**
 * The simplest possible limits, in memory: accounts have as much as they want, so that nothing else is refused. Hours
 * pass, days do not.
 */
export class LimitModel {
  state: State = { limits: [], holds: new Map(), transfers: new Map(), hour: 0 };
  /** Of each account. */
  readonly owners: ReadonlyMap<string, string>;
  #isFull = false;

  constructor(owners: ReadonlyMap<string, string>) {
    this.owners = owners;
  }

  post(owner: string, atomic: boolean, orders: readonly Movement[]): readonly string[] {
    const before = structuredClone(this.state);
    this.#isFull = false;
    const outcomes = orders.map((order) => this.#apply(owner, order, atomic));
    const isRefused = outcomes.some((outcome) => outcome !== 'posted');
    if (!atomic || !(isRefused || this.#isFull)) return outcomes;
    const credits = orders.map((order) => this.#creditOf(order));
    this.state = before;
    return outcomes.map((outcome, i) => {
      if (outcome !== 'posted') return outcome;
      return !isRefused && this.owners.get(credits[i] ?? '') !== owner ? 'unknown_account' : 'rolled_back';
    });
  }

  /** The largest amount that a limit has room for. 0 if it is not one of amounts. */
  leftOf({ maxima, used }: ModelLimit): number {
    const amounts = LIMIT_MAXIMA.filter((name) => name.endsWith('Amount') && maxima[name] !== undefined);
    return amounts.length && Math.min(...amounts.map((name) => maxima[name]! - used[name]));
  }

  passHour(): void {
    this.state.hour++;
    for (const limit of this.state.limits) {
      limit.used.hourAmount = 0;
      limit.used.hourCount = 0;
    }
  }

  expire(): void {
    for (const hold of this.state.holds.values())
      if (hold.state === 'pending' && hold.isPast) this.#release(hold, hold.amount - hold.posted, true);
  }

  #creditOf(order: Movement): string | undefined {
    if (order.kind === 'reverse') return this.state.transfers.get(order.transferId)?.debit;
    if (order.kind === 'post' || order.kind === 'void') return this.state.holds.get(order.holdId)?.credit;
    return order.creditAccountId;
  }

  #apply(owner: string, order: Movement, atomic: boolean): string {
    if (order.kind === 'post' || order.kind === 'void') return this.#settle(owner, order, atomic);
    if (order.kind === 'reverse') return this.#reverse(owner, order);
    const { debitAccountId: debit, creditAccountId: credit, amount } = order;
    if (debit === credit) return this.#isOwn(owner, debit) ? 'same_account' : 'same_account';
    if (!this.#isOwn(owner, debit)) return 'unknown_account';
    const isOwn = this.#isOwn(owner, credit);
    const reserves = isOwn || order.kind !== 'hold';
    const taken = this.#counting(debit, credit, true, reserves).map((limit): Taken[number] => [
      limit,
      limit.owner !== owner,
    ]);
    const refusal = this.#take(taken, amount, atomic);
    if (refusal !== null) return refusal;
    if (order.kind === 'hold') {
      const limits = taken.map(([limit]) => limit);
      const { hour } = this.state;
      const rest = { posted: 0, state: 'pending' as const, isPast: false };
      this.state.holds.set(order.id, { debit, credit, amount, hour, limits, ...rest });
    } else this.state.transfers.set(order.id, { debit, credit, left: amount });
    return 'posted';
  }

  #settle(owner: string, order: Extract<Movement, { kind: 'post' | 'void' }>, atomic: boolean): string {
    const hold = this.state.holds.get(order.holdId);
    if (!hold) return 'hold_not_found';
    if (!this.#isOwn(owner, hold.debit))
      return this.#isOwn(owner, hold.credit) ? 'unknown_account' : 'hold_not_found';
    if (hold.state === 'pending' && hold.isPast) return 'hold_expired';
    if (hold.state !== 'pending') return hold.isPast ? 'hold_expired' : 'hold_settled';
    const left = hold.amount - hold.posted;
    if (order.kind === 'void') {
      this.#release(hold, left, true);
      return 'posted';
    }
    const amount = order.amount ?? left;
    if (amount > left) return 'hold_amount_exceeded';
    if (!this.#isOwn(owner, hold.credit)) {
      const taken = this.#counting(hold.debit, hold.credit, false, true).map((limit): Taken[number] => [
        limit,
        true,
      ]);
      const refusal = this.#take(taken, amount, atomic);
      if (refusal !== null) return refusal;
    }
    hold.posted += amount;
    const isOpen = order.keepRest && amount < left;
    if (!isOpen) this.#release(hold, left - amount, false);
    this.state.transfers.set(order.id, { debit: hold.debit, credit: hold.credit, left: amount });
    return 'posted';
  }

  #reverse(owner: string, order: Extract<Movement, { kind: 'reverse' }>): string {
    const transfer = this.state.transfers.get(order.transferId);
    if (!transfer) return 'transfer_not_found';
    const { debit, credit, left } = transfer;
    if (!this.#isOwn(owner, credit))
      return this.#isOwn(owner, debit) ? 'unknown_account' : 'transfer_not_found';
    if (left === 0) return 'already_reversed';
    if ((order.amount ?? left) > left) return 'reversal_exceeds_transfer';
    transfer.left -= order.amount ?? left;
    this.state.transfers.set(order.id, { debit: credit, credit: debit, left: order.amount ?? left });
    return 'posted';
  }

  #isOwn(owner: string, account: string): boolean {
    return this.owners.get(account) === owner;
  }

  #has(limit: ModelLimit, account: string): boolean {
    if (limit.isDeleted || this.owners.get(account) !== limit.owner) return false;
    return limit.accounts === null || limit.accounts.includes(account);
  }

  #counting(debit: string, credit: string, withDebit: boolean, withCredit: boolean): ModelLimit[] {
    return this.state.limits.filter((limit) => {
      const [hasDebit, hasCredit] = [this.#has(limit, debit), this.#has(limit, credit)];
      if (hasDebit && hasCredit) return limit.countsInternal;
      const countsDebit = withDebit && hasDebit && limit.counts !== 'credits';
      return countsDebit || (withCredit && hasCredit && limit.counts !== 'debits');
    });
  }

  #take(taken: Taken, amount: number, atomic: boolean): string | null {
    const isExceeded = ([{ maxima, used }]: Taken[number]) =>
      LIMIT_MAXIMA.some((name) => {
        const takes = name.endsWith('Count') ? 1 : amount;
        return maxima[name] !== undefined && used[name] + takes > maxima[name];
      });
    if (taken.some((one) => !one[1] && isExceeded(one))) return 'limit_exceeded';
    if (taken.some((one) => one[1] && isExceeded(one))) {
      if (!atomic) return 'unknown_account';
      this.#isFull = true;
    }
    for (const [limit] of taken) change(limit, amount, 1, true);
    return null;
  }

  #release(hold: ModelHold, amount: number, isEnd: boolean): void {
    for (const limit of hold.limits)
      if (!limit.isDeleted)
        change(limit, -amount, isEnd && hold.posted === 0 ? -1 : 0, hold.hour === this.state.hour);
    hold.state = 'settled';
  }
}

function change({ used }: ModelLimit, amount: number, count: number, isInHour: boolean): void {
  if (isInHour) {
    used.hourAmount += amount;
    used.hourCount += count;
  }
  used.dayAmount += amount;
  used.dayCount += count;
  used.totalAmount += amount;
}
