import type {
  Outcome,
  TransferContent,
  TransferOrder,
  TransferRequest,
} from '../../../src/features/ledger/movement.ts';

/** An account of the model. */
export interface ModelAccount {
  readonly ledger: string;
  readonly allowNegative: boolean;
  readonly owner: string;
  readonly acceptsFrom: readonly string[] | null;
  /** The largest transfer from another owner. */
  readonly acceptsUpTo: number;
  debits: number;
  credits: number;
  version: number;
}

/** The result of a request: `state`, and for each item an outcome and an id. */
export interface ModelResult {
  readonly state: 'fresh' | 'replayed' | 'reused';
  readonly items: readonly { readonly outcome: Outcome; readonly id: string }[];
}

/** What matters of an account of another owner. */
interface Payee {
  readonly isOpen: boolean;
  hasRoom(amount: number): boolean;
}

const OWN: Payee = { isOpen: true, hasRoom: () => true };
/** What an account can have received when others pay it. */
const OTHERS_MAX = Math.floor(Number.MAX_SAFE_INTEGER / 2);
const UUID_V8 = /^.{14}8.{4}[89ab]/;

/** The simplest possible ledger, to compare PostgreSQL with: in memory, one request at a time. */
export class LedgerModel {
  readonly accounts = new Map<string, ModelAccount>();
  readonly transfers = new Map<string, TransferContent>();
  readonly #isolates: boolean;
  readonly #keys = new Map<string, { fingerprint: string; items: ModelResult['items'] }>();

  constructor(isolates: boolean) {
    this.#isolates = isolates;
  }

  post({ owner, key, fingerprint, atomic, orders }: TransferRequest): ModelResult {
    const stored = this.#keys.get(`${owner} ${key}`);
    if (stored) {
      return stored.fingerprint === fingerprint
        ? { state: 'replayed', items: stored.items }
        : { state: 'reused', items: [] };
    }
    const before = new Map([...this.accounts].map(([id, account]) => [id, { ...account }]));
    let items = orders.map((order) => this.#applyAs(owner, order, atomic));
    const isRefused = items.some(({ outcome }) => outcome !== 'posted' && outcome !== 'exists');
    const isFull = items.some(({ outcome }, i) => {
      const payee = outcome === 'posted' && this.accounts.get(orders[i]!.creditAccountId)!;
      return payee && this.#isolates && payee.owner !== owner && payee.credits > OTHERS_MAX;
    });
    if (atomic && (isRefused || isFull)) {
      for (const [id, { debits, credits, version }] of before)
        Object.assign(this.accounts.get(id)!, { debits, credits, version });
      items = items.map((item, i) => {
        if (item.outcome === 'posted') this.transfers.delete(orders[i]!.id);
        const isToOthers =
          item.outcome === 'posted' && this.accounts.get(orders[i]!.creditAccountId)!.owner !== owner;
        if (!isRefused && isToOthers) return { ...item, outcome: 'unknown_account' };
        const isTakenBack = item.outcome === 'posted' || item.outcome === 'exists';
        return isTakenBack ? { ...item, outcome: 'rolled_back' } : item;
      });
    }
    this.#keys.set(`${owner} ${key}`, { fingerprint, items });
    return { state: 'fresh', items };
  }

  /** Refuses whatever is not the owner's to do, before anything else. */
  #applyAs(owner: string, order: TransferOrder, atomic: boolean): { outcome: Outcome; id: string } {
    const { id, debitAccountId, creditAccountId } = order;
    const [debit, credit] = [this.accounts.get(debitAccountId), this.accounts.get(creditAccountId)];
    if (!this.#isolates || debitAccountId === creditAccountId) return this.#applyUnderEither(order);
    if (debit?.owner !== owner) return { outcome: 'unknown_account', id };
    if (!credit || credit.owner === owner) return this.#applyUnderEither(order);
    const accepts = credit.acceptsFrom?.some((name) => name === '*' || name === owner) ?? false;
    const isOpen = accepts && credit.ledger === debit.ledger && order.amount <= credit.acceptsUpTo;
    // In an atomic request, that it is too much shows at the end.
    return this.#applyUnderEither(order, {
      isOpen,
      hasRoom: (amount) => atomic || amount <= OTHERS_MAX - credit.credits,
    });
  }

  /** Finds an equal transfer under the id that the other release derives, and otherwise applies the order. */
  #applyUnderEither(
    { formerId, ...content }: TransferOrder,
    payee: Payee = OWN,
  ): { outcome: Outcome; id: string } {
    const other = formerId === undefined ? undefined : this.transfers.get(formerId);
    if (other && Bun.deepEquals(other, { ...content, id: other.id }))
      return { outcome: 'exists', id: other.id };
    const isRefused = formerId === undefined && UUID_V8.test(content.id) && !this.transfers.has(content.id);
    return { outcome: isRefused ? 'transfer_id_taken' : this.#apply(content, payee), id: content.id };
  }

  #apply(order: TransferContent, payee: Payee): Outcome {
    const { id, debitAccountId, creditAccountId, amount } = order;
    const known = this.transfers.get(id);
    if (known) return Bun.deepEquals(known, order) ? 'exists' : 'transfer_id_taken';
    if (debitAccountId === creditAccountId) return 'same_account';
    const debit = this.accounts.get(debitAccountId);
    const credit = this.accounts.get(creditAccountId);
    if (!debit || !credit || !payee.isOpen) return 'unknown_account';
    if (debit.ledger !== credit.ledger) return 'different_ledgers';
    if (!debit.allowNegative && debit.credits - debit.debits < amount) return 'insufficient_funds';
    if (amount > Number.MAX_SAFE_INTEGER - debit.debits) return 'balance_overflow';
    if (payee === OWN && !hasRoom(credit, amount)) return 'balance_overflow';
    if (!payee.hasRoom(amount)) return 'unknown_account';
    debit.debits += amount;
    credit.credits += amount;
    debit.version++;
    credit.version++;
    this.transfers.set(id, order);
    return 'posted';
  }
}

function hasRoom({ credits }: ModelAccount, amount: number): boolean {
  return amount <= Number.MAX_SAFE_INTEGER - credits;
}
