import { toCsv } from '../../../utils/csv.ts';
import type { Entry, StatementHead } from './domain.ts';

const COLUMNS = [
  'type',
  'version',
  'createdAt',
  'effectiveAt',
  'direction',
  'amount',
  'balance',
  'transferId',
  'counterpartyAccountId',
  'reference',
];

/** The lines before the entries: names of the columns, and the balance at the start of the period. */
export function csvHead({ fromMs, openingBalance }: StatementHead): string {
  const from = fromMs === null ? '' : timeOf(fromMs);
  return `${COLUMNS.join(',')}\r\nopening,,${from},${from},,,${openingBalance},,,\r\n`;
}

/** The line after the entries. A statement without it was cut. */
export function csvEnd({ toMs, closingBalance }: StatementHead): string {
  const to = timeOf(toMs);
  return `closing,,${to},${to},,,${closingBalance},,,\r\n`;
}

/** Only the reference is text of others: everything else needs no quotes, and a balance below zero is no formula. */
export function csvLines(entries: readonly Entry[]): string {
  let lines = '';
  for (const entry of entries) {
    const { version, net, balance, createdAt, effectiveAt, transferId, counterpartyAccountId, reference } =
      entry;
    const direction = net < 0 ? 'debit' : 'credit';
    lines += `entry,${version},${createdAt},${effectiveAt},${direction},${Math.abs(net)},${balance},${transferId},${counterpartyAccountId},`;
    lines += reference === null ? '\r\n' : toCsv([[reference]]);
  }
  return lines;
}

const timeOf = (ms: number) => new Date(ms).toISOString();
