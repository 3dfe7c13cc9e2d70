import type { Account } from '../account.ts';
import { createdMicros } from '../age-order.ts';

/** An account as it is read. */
export type AccountRow = Omit<Account, 'createdAt' | 'closedAt'> & {
  readonly createdAt: Date;
  readonly closedAt: Date | null;
  readonly createdMicros: number;
};

/** The columns of an {@link AccountRow}. */
export const accountColumns = <F>(sql: (strings: TemplateStringsArray, ...values: (F | string)[]) => F): F =>
  sql`id, owner, ledger, name, kind, allow_negative, metadata, parent_id, balance_min, balance_max,
    debits_frozen, credits_frozen, accepts_from, accepts_up_to, debits_posted, credits_posted, debits_pending,
    credits_pending, version, revision, created_at, closed_at, ${createdMicros(sql)}`;

export function toAccount({ createdMicros: _, ...row }: AccountRow): Account {
  return {
    ...row,
    createdAt: row.createdAt.toISOString(),
    closedAt: row.closedAt === null ? null : row.closedAt.toISOString(),
  };
}
