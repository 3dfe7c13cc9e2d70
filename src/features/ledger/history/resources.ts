import type { Entry, PastBalance, StatementHead } from './domain.ts';

const timeOf = (ms: number) => new Date(ms).toISOString();

/** The entry as the API returns it. */
export function toEntry({ version, net, balance, ...rest }: Entry) {
  const direction = net < 0 ? ('debit' as const) : ('credit' as const);
  return { version, direction, amount: Math.abs(net), signedAmount: net, balance, ...rest };
}

/** The balance as the API returns it. */
export function toBalance({ accountId, ledger, by, atMs, balance, version }: PastBalance) {
  return { accountId, ledger, by, at: timeOf(atMs), balance, version };
}

/** The statement as the API returns it, without its entries. */
export function toStatement(head: StatementHead) {
  const { accountId, ledger, name, by, fromMs, toMs, openingBalance, closingBalance, lastVersion } = head;
  return {
    accountId,
    ledger,
    name,
    by,
    from: fromMs === null ? null : timeOf(fromMs),
    to: timeOf(toMs),
    openingBalance,
    closingBalance,
    lastVersion,
  };
}
