import type { Hold } from './hold.ts';
import { sortMembers } from './movement.ts';

/** A row of `holds`. */
export type HoldRow = Omit<Hold, 'remaining' | 'expiresAt' | 'settledAt' | 'createdAt'> & {
  expiresAt: Date;
  settledAt: Date | null;
  createdAt: Date;
};

/** The columns of a {@link HoldRow}, without its metadata, which not everybody may read. */
export function holdColumns<F>(sql: (strings: TemplateStringsArray) => F): F {
  return sql`id, debit_account_id, credit_account_id, ledger, amount, reference, state, posted, expires_at, settled_at, created_at`;
}

export function toHold(row: HoldRow): Hold {
  return {
    id: row.id,
    debitAccountId: row.debitAccountId,
    creditAccountId: row.creditAccountId,
    ledger: row.ledger,
    amount: row.amount,
    state: row.state,
    posted: row.posted,
    remaining: row.state === 'pending' ? row.amount - row.posted : 0,
    reference: row.reference,
    metadata: sortMembers(row.metadata),
    expiresAt: row.expiresAt.toISOString(),
    settledAt: row.settledAt?.toISOString() ?? null,
    createdAt: row.createdAt.toISOString(),
  };
}

/** Returns a hold as it was when it was made. */
export function asCreated(hold: Hold): Hold {
  return { ...hold, state: 'pending', posted: 0, remaining: hold.amount, settledAt: null };
}
