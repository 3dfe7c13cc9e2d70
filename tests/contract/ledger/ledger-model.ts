import type {
  Outcome,
  PostRequest,
  TransferContent,
  TransferOrder,
} from '../../../src/features/ledger/transfers/domain.ts';

/** An account of the model. */
export interface ModelAccount {
  readonly ledger: string;
  readonly allowNegative: boolean;
  readonly owner: string;
  readonly acceptsFrom: readonly string[] | null;
  debits: number;
  credits: number;
  version: number;
}

/** The result of a request: `state`, and for each item an outcome and an id. */
export interface ModelResult {
  readonly state: 'fresh' | 'replayed' | 'reused';
  readonly items: readonly { readonly outcome: Outcome; readonly id: string }[];
}

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

  post({ owner, key, fingerprint, atomic, orders }: PostRequest): ModelResult {
    const stored = this.#keys.get(`${owner} ${key}`);
    if (stored) {
      return stored.fingerprint === fingerprint
        ? { state: 'replayed', items: stored.items }
        : { state: 'reused', items: [] };
    }
    let items = orders.map((order) => this.#applyAs(owner, order));
    if (atomic && items.some(({ outcome }) => outcome !== 'posted' && outcome !== 'exists')) {
      items = items.map((item, i) => this.#takeBack(orders[i]!, item));
    }
    this.#keys.set(`${owner} ${key}`, { fingerprint, items });
    return { state: 'fresh', items };
  }

  /** Refuses whatever is not the owner's to do, before anything else. */
  #applyAs(owner: string, order: TransferOrder): { outcome: Outcome; id: string } {
    const { id, debitAccountId, creditAccountId, amount } = order;
    const [debit, credit] = [this.accounts.get(debitAccountId), this.accounts.get(creditAccountId)];
    if (!this.#isolates || debitAccountId === creditAccountId) return this.#applyUnderEither(order);
    if (debit?.owner !== owner) return { outcome: 'unknown_account', id };
    return this.#applyUnderEither(order, () => {
      if (!credit || credit.owner === owner) return true;
      const accepts = credit.acceptsFrom?.some((name) => name === '*' || name === owner) ?? false;
      return accepts && credit.ledger === debit.ledger && amount <= Number.MAX_SAFE_INTEGER - credit.credits;
    });
  }

  /** Finds an equal transfer under the id that the other release derives, and otherwise applies the order. */
  #applyUnderEither(
    { formerId, ...content }: TransferOrder,
    canPay = () => true,
  ): { outcome: Outcome; id: string } {
    const other = formerId === undefined ? undefined : this.transfers.get(formerId);
    if (other && Bun.deepEquals(other, { ...content, id: other.id }))
      return { outcome: 'exists', id: other.id };
    const isRefused = formerId === undefined && UUID_V8.test(content.id) && !this.transfers.has(content.id);
    return { outcome: isRefused ? 'transfer_id_taken' : this.#apply(content, canPay), id: content.id };
  }

  #apply(order: TransferContent, canPay: () => boolean): Outcome {
    const { id, debitAccountId, creditAccountId, amount } = order;
    const known = this.transfers.get(id);
    if (known) return Bun.deepEquals(known, order) ? 'exists' : 'transfer_id_taken';
    if (debitAccountId === creditAccountId) return 'same_account';
    const debit = this.accounts.get(debitAccountId);
    const credit = this.accounts.get(creditAccountId);
    if (!debit || !credit || !canPay()) return 'unknown_account';
    if (debit.ledger !== credit.ledger) return 'different_ledgers';
    if (!debit.allowNegative && debit.credits - debit.debits < amount) return 'insufficient_funds';
    const roomLeft = (sum: number) => Number.MAX_SAFE_INTEGER - sum;
    if (amount > roomLeft(debit.debits) || amount > roomLeft(credit.credits)) return 'balance_overflow';
    this.#move(order, 1);
    this.transfers.set(id, order);
    return 'posted';
  }

  #takeBack(
    order: TransferContent,
    item: { outcome: Outcome; id: string },
  ): { outcome: Outcome; id: string } {
    if (item.outcome !== 'posted' && item.outcome !== 'exists') return item;
    if (item.outcome === 'posted') {
      this.#move(order, -1);
      this.transfers.delete(order.id);
    }
    return { ...item, outcome: 'rolled_back' };
  }

  #move({ debitAccountId, creditAccountId, amount }: TransferContent, sign: 1 | -1): void {
    const [debit, credit] = [this.accounts.get(debitAccountId)!, this.accounts.get(creditAccountId)!];
    debit.debits += sign * amount;
    credit.credits += sign * amount;
    debit.version += sign;
    credit.version += sign;
  }
}
