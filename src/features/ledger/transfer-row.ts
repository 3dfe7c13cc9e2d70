import { sortMembers, type Transfer, type TransferContent } from './movement.ts';

/** A row of `transfers`. */
export type TransferRow = Omit<Transfer, 'createdAt' | 'effectiveAt'> & {
  createdAt: Date;
  effectiveAt: Date | null;
};

/** The columns of a {@link TransferRow}, without its metadata, which not everybody may read. */
export function transferColumns<F>(sql: (strings: TemplateStringsArray) => F): F {
  return sql`id, debit_account_id, credit_account_id, ledger, amount, reference, hold_id, reverses_id, created_at,
    effective_at`;
}

export function toTransfer(row: TransferRow): Transfer {
  const { effectiveAt, ...content } = row;
  const order = effectiveAt === null ? content : { ...content, effectiveAt: effectiveAt.toISOString() };
  return transferOf(order, row.ledger, row.createdAt.toISOString(), row.holdId, row.reversesId);
}

export function transferOf(
  order: TransferContent,
  ledger: string,
  createdAt: string,
  holdId: string | null = null,
  reversesId: string | null = null,
): Transfer {
  return {
    id: order.id,
    debitAccountId: order.debitAccountId,
    creditAccountId: order.creditAccountId,
    ledger,
    amount: order.amount,
    reference: order.reference,
    metadata: sortMembers(order.metadata),
    holdId,
    reversesId,
    createdAt,
    effectiveAt: order.effectiveAt ?? createdAt,
  };
}
