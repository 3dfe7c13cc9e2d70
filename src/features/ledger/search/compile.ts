import { type Comparison, type Fields, type Filter, fieldOf, METADATA, type Value } from '../filter.ts';
import { rangeOf } from './sources.ts';

/** Text of SQL and its parameters, in order. */
export class Statement {
  readonly parameters: string[] = [];

  /** Adds a parameter, and returns how the text names it. Its type is one of ours, never given by a caller. */
  bind(value: string, type: string): string {
    this.parameters.push(value);
    return `$${this.parameters.length}::${type}`;
  }

  /** Adds a list of texts. The driver has no part in how it is written. */
  bindTexts(values: readonly string[]): string {
    return `ARRAY(SELECT jsonb_array_elements_text(${this.bind(JSON.stringify(values), 'text')}::jsonb))`;
  }

  bindMs(ms: number): string {
    return `('epoch'::timestamptz + ${this.bind(String(ms), 'bigint')} * interval '1 millisecond')`;
  }
}

/** The columns of the rows that a filter is compared with, named `f`. */
const COLUMNS: Readonly<Record<string, string>> = {
  amount: 'f.amount',
  balance: '(f.credits_posted - f.debits_posted)',
  ledger: 'f.ledger',
  name: 'f.name',
  kind: 'f.kind',
  reference: 'f.reference',
  debitAccountId: 'f.debit_account_id',
  creditAccountId: 'f.credit_account_id',
  createdAt: 'f.created_at',
};
const TYPES = { text: 'text', number: 'bigint', id: 'uuid' } as const;
const OPERATORS = { gte: '>=', gt: '>', lte: '<=', lt: '<' } as const;

/**
 * Returns the condition that a row `f` matches a filter. It is never null. Names and operators are from our own lists,
 * and whatever a caller has given is a parameter.
 */
export function conditionOf(filter: Filter, fields: Fields, statement: Statement): string {
  const all = (filters: readonly Filter[], by: 'AND' | 'OR') =>
    `(${filters.map((one) => conditionOf(one, fields, statement)).join(` ${by} `)})`;
  if ('and' in filter) return all(filter.and, 'AND');
  if ('or' in filter) return all(filter.or, 'OR');
  if ('not' in filter) return `(NOT ${conditionOf(filter.not, fields, statement)})`;
  const { field: name, is } = filter;
  if (name !== 'accountId') return comparisonOf(name, is, fields, statement);
  const sides = ['debitAccountId', 'creditAccountId'].map((side) =>
    comparisonOf(side, is, fields, statement),
  );
  return `(${sides.join(' OR ')})`;
}

function comparisonOf(name: string, is: Comparison, fields: Fields, statement: Statement): string {
  const { type } = fieldOf(fields, name)!;
  const column = name.startsWith(METADATA)
    ? `(f.metadata ->> ${statement.bind(name.slice(METADATA.length), 'text')})`
    : COLUMNS[name]!;
  const parts: string[] = [];
  if (type === 'time') {
    const { fromMs, beforeMs } = rangeOf(is);
    if (fromMs !== null) parts.push(`${column} >= ${statement.bindMs(fromMs)}`);
    if (beforeMs !== null) parts.push(`${column} < ${statement.bindMs(beforeMs)}`);
    return conjunction(parts);
  }
  const bind = (value: Value) => statement.bind(String(value), TYPES[type]);
  // Bytes in UTF-8, whatever the locale of the database is.
  const ordered = type === 'text' ? `${column} COLLATE "C"` : column;
  if (is.eq === null) parts.push(`${column} IS NULL`);
  else if (is.eq !== undefined) parts.push(`${column} = ${bind(is.eq)}`);
  if (is.in) parts.push(`${column}::text = ANY (${statement.bindTexts(is.in.map(String))})`);
  for (const [operator, symbol] of Object.entries(OPERATORS)) {
    const value = is[operator as keyof typeof OPERATORS];
    if (value !== undefined) parts.push(`${ordered} ${symbol} ${bind(value)}`);
  }
  if (is.startsWith !== undefined) parts.push(`starts_with(${column}, ${bind(is.startsWith)})`);
  return conjunction(parts);
}

function conjunction(parts: readonly string[]): string {
  return `coalesce(${parts.join(' AND ')}, false)`;
}
