import { ACCEPTS_UP_TO_DEFAULT } from '../../../src/features/ledger/account.ts';
import type { Movement, Outcome, PostRequest } from '../../../src/features/ledger/movement.ts';

/** An account of the model. A limit of null is none. */
export interface MovementAccount {
  readonly ledger: string;
  readonly owner: string;
  readonly acceptsFrom: readonly string[] | null;
  readonly floor: number | null;
  readonly ceiling: number | null;
  debitsFrozen: boolean;
  creditsFrozen: boolean;
  closed: boolean;
  debits: number;
  credits: number;
  debitsPending: number;
  creditsPending: number;
}

interface ModelHold {
  readonly debit: string;
  readonly credit: string;
  readonly amount: number;
  /** Whether it takes room of the account that it credits. */
  readonly reserves: boolean;
  posted: number;
  state: 'pending' | 'posted' | 'voided' | 'expired';
  isPast: boolean;
}

interface ModelTransfer {
  readonly debit: string;
  readonly credit: string;
  readonly amount: number;
  reversed: number;
}

/** Everything that a refused atomic request undoes. */
interface State {
  readonly accounts: Map<string, MovementAccount>;
  readonly holds: Map<string, ModelHold>;
  readonly transfers: Map<string, ModelTransfer>;
}

/** The part of a movement that needs two accounts. */
interface Flow {
  readonly debit: string;
  readonly credit: string;
  readonly amount: number;
}

/** What an account can have received, or expect, when others pay it. */
const OTHERS_MAX = Math.floor(Number.MAX_SAFE_INTEGER / 2);

/** The simplest possible ledger with holds and reversals: in memory, one request at a time. */
export class MovementModel {
  state: State = { accounts: new Map(), holds: new Map(), transfers: new Map() };
  readonly #isolates: boolean;
  readonly #keys = new Map<string, readonly Outcome[]>();
  /** Items of the current atomic request that exceed a limit of an account of others. */
  #isFull = false;

  constructor(isolates: boolean) {
    this.#isolates = isolates;
  }

  post({ owner, key, atomic, orders }: PostRequest): readonly Outcome[] {
    const stored = this.#keys.get(`${owner} ${key}`);
    if (stored) return stored;
    const before = structuredClone(this.state);
    this.#isFull = false;
    let outcomes = orders.map((order) => this.#apply(owner, order, atomic));
    const isRefused = outcomes.some((outcome) => outcome !== 'posted' && outcome !== 'exists');
    if (atomic && (isRefused || this.#isFull)) {
      const payees = orders.map((order) => this.state.accounts.get(this.#creditOf(order) ?? '')?.owner);
      this.state = before;
      outcomes = outcomes.map((outcome, i) => {
        if (outcome !== 'posted' && outcome !== 'exists') return outcome;
        const isToOthers = !isRefused && outcome === 'posted' && payees[i] !== owner;
        return isToOthers ? 'unknown_account' : 'rolled_back';
      });
    }
    this.#keys.set(`${owner} ${key}`, outcomes);
    return outcomes;
  }

  /** Time passes for a hold. */
  pass(holdId: string): void {
    const hold = this.state.holds.get(holdId);
    if (hold) hold.isPast = true;
  }

  /** Releases what is past its expiry, of one hold or of all, and returns how many holds that were. */
  expire(holdId?: string): number {
    const due = [...this.state.holds].filter(
      ([id, { state, isPast }]) => state === 'pending' && isPast && (holdId ?? id) === id,
    );
    for (const [, hold] of due) this.#release(hold, hold.amount - hold.posted, 'expired');
    return due.length;
  }

  /** Returns a ledger in the same state, which goes its own way from here on. Keys are not copied. */
  fork(): MovementModel {
    const fork = new MovementModel(this.#isolates);
    fork.state = structuredClone(this.state);
    return fork;
  }

  #creditOf(order: Movement): string | undefined {
    if (order.kind === 'reverse') return this.state.transfers.get(order.transferId)?.debit;
    if (order.kind === 'post' || order.kind === 'void') return this.state.holds.get(order.holdId)?.credit;
    return order.creditAccountId;
  }

  #apply(owner: string, order: Movement, atomic: boolean): Outcome {
    if (order.kind === 'post' || order.kind === 'void') return this.#settle(owner, order, atomic);
    if (order.kind === 'reverse') return this.#reverse(owner, order, atomic);
    const { debitAccountId: debit, creditAccountId: credit, amount } = order;
    const [from, to] = [this.#account(debit), this.#account(credit)];
    const flow = { debit, credit, amount };
    if (this.#isolates && debit !== credit && from?.owner !== owner) return 'unknown_account';
    if (debit === credit) return 'same_account';
    if (!from || !to) return 'unknown_account';
    const accepts =
      to.acceptsFrom?.some((name) => name === '*' || name === owner) &&
      amount <= ACCEPTS_UP_TO_DEFAULT &&
      to.ledger === from.ledger;
    if (this.#isOthers(owner, to) && !accepts) return 'unknown_account';
    if (from.ledger !== to.ledger) return 'different_ledgers';
    const refusal = this.#stopped(owner, flow) ?? this.#unfunded(flow, false);
    if (refusal) return refusal;
    const reserves = !this.#isOthers(owner, to);
    if (order.kind === 'hold' && !reserves) this.#hold(order.id, flow, false);
    else {
      const full = this.#full(owner, flow, atomic);
      if (full) return full;
      if (order.kind === 'hold') this.#hold(order.id, flow, true);
      else this.#move(order.id, flow);
      this.#noteFull(owner, flow);
    }
    return 'posted';
  }

  #settle(owner: string, order: Extract<Movement, { kind: 'post' | 'void' }>, atomic: boolean): Outcome {
    const hold = this.state.holds.get(order.holdId);
    const refusal = this.#notFor(owner, hold, 'hold_not_found');
    if (refusal || !hold) return refusal ?? 'hold_not_found';
    if (hold.state === 'expired' || (hold.state === 'pending' && hold.isPast)) return 'hold_expired';
    if (hold.state !== 'pending') return 'hold_settled';
    const left = hold.amount - hold.posted;
    if (order.kind === 'void') {
      this.#release(hold, left, 'voided');
      return 'posted';
    }
    const amount = order.amount ?? left;
    if (amount > left) return 'hold_amount_exceeded';
    const flow = { debit: hold.debit, credit: hold.credit, amount };
    const refused = this.#stopped(owner, hold) ?? (hold.reserves ? null : this.#full(owner, flow, atomic));
    if (refused) return refused;
    hold.posted += amount;
    const isOpen = order.keepRest && amount < left;
    this.#release(hold, isOpen ? amount : left, isOpen ? 'pending' : 'posted');
    this.#move(order.id, flow);
    if (!hold.reserves) this.#noteFull(owner, flow);
    return 'posted';
  }

  #reverse(owner: string, order: Extract<Movement, { kind: 'reverse' }>, atomic: boolean): Outcome {
    const transfer = this.state.transfers.get(order.transferId);
    const back = transfer && { debit: transfer.credit, credit: transfer.debit };
    const refusal = this.#notFor(owner, back, 'transfer_not_found');
    if (refusal || !transfer || !back) return refusal ?? 'transfer_not_found';
    const left = transfer.amount - transfer.reversed;
    if (left === 0) return 'already_reversed';
    const flow = { ...back, amount: order.amount ?? left };
    if (flow.amount > left) return 'reversal_exceeds_transfer';
    const limited =
      this.#stopped(owner, flow) ?? this.#unfunded(flow, order.force) ?? this.#full(owner, flow, atomic);
    if (limited) return limited;
    transfer.reversed += flow.amount;
    this.#move(order.id, flow);
    this.#noteFull(owner, flow);
    return 'posted';
  }

  #account(id: string): MovementAccount | undefined {
    return this.state.accounts.get(id);
  }

  #isOthers(owner: string, account: MovementAccount): boolean {
    return this.#isolates && account.owner !== owner;
  }

  /** Nobody learns of what concerns none of its accounts, and nobody debits accounts of others. */
  #notFor(
    owner: string,
    sides: { readonly debit: string; readonly credit: string } | undefined,
    missing: Outcome,
  ): Outcome | null {
    if (!sides) return missing;
    const [from, to] = [this.#account(sides.debit)!, this.#account(sides.credit)!];
    if (!this.#isOthers(owner, from)) return null;
    return to.owner === owner ? 'unknown_account' : missing;
  }

  #stopped(owner: string, { debit, credit }: { debit: string; credit: string }): Outcome | null {
    const [from, to] = [this.#account(debit)!, this.#account(credit)!];
    if (from.closed || from.debitsFrozen) return from.closed ? 'account_closed' : 'account_frozen';
    if (!to.closed && !to.creditsFrozen) return null;
    if (this.#isOthers(owner, to)) return 'unknown_account';
    return to.closed ? 'account_closed' : 'account_frozen';
  }

  #unfunded(flow: Flow, isForced: boolean): Outcome | null {
    const from = this.#account(flow.debit)!;
    const available = from.credits - from.debits - from.debitsPending;
    if (from.floor !== null && available - flow.amount < from.floor && !isForced) return 'insufficient_funds';
    if (from.debits + from.debitsPending + flow.amount > Number.MAX_SAFE_INTEGER) return 'balance_overflow';
    return null;
  }

  #full(owner: string, flow: Flow, atomic: boolean): Outcome | null {
    const to = this.#account(flow.credit)!;
    const isOthers = this.#isOthers(owner, to);
    if (!isOthers && to.credits + to.creditsPending + flow.amount > Number.MAX_SAFE_INTEGER)
      return 'balance_overflow';
    if (!isOthers && isAbove(to, flow.amount)) return 'balance_limit_exceeded';
    // In an atomic request, what is too much for others shows at the end.
    return isOthers && !atomic && isAbove(to, flow.amount, OTHERS_MAX) ? 'unknown_account' : null;
  }

  #noteFull(owner: string, { credit }: Flow): void {
    const to = this.#account(credit)!;
    if (this.#isOthers(owner, to) && isAbove(to, 0, OTHERS_MAX)) this.#isFull = true;
  }

  #hold(id: string, flow: Flow, reserves: boolean): void {
    this.state.holds.set(id, { ...flow, reserves, posted: 0, state: 'pending', isPast: false });
    this.#account(flow.debit)!.debitsPending += flow.amount;
    if (reserves) this.#account(flow.credit)!.creditsPending += flow.amount;
  }

  #move(id: string, { debit, credit, amount }: Flow): void {
    this.#account(debit)!.debits += amount;
    this.#account(credit)!.credits += amount;
    this.state.transfers.set(id, { debit, credit, amount, reversed: 0 });
  }

  #release(hold: ModelHold, amount: number, state: ModelHold['state']): void {
    this.#account(hold.debit)!.debitsPending -= amount;
    if (hold.reserves) this.#account(hold.credit)!.creditsPending -= amount;
    hold.state = state;
  }
}

function isAbove(
  { credits, debits, creditsPending, ceiling }: MovementAccount,
  amount: number,
  creditsMax: number = Number.MAX_SAFE_INTEGER,
): boolean {
  if (credits + creditsPending + amount > creditsMax) return true;
  return ceiling !== null && credits - debits + creditsPending + amount > ceiling;
}
