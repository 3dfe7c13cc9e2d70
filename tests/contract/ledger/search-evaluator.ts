import type { Comparison, Filter, Value } from '../../../src/features/ledger/filter.ts';

/** An item as its owner sees it: its fields, and its metadata. Times are in milliseconds. */
export interface Item {
  readonly fields: Readonly<Record<string, Value | null>>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Whether an item matches a filter, by plain comparison. */
export function matches(filter: Filter, item: Item): boolean {
  if ('and' in filter) return filter.and.every((one) => matches(one, item));
  if ('or' in filter) return filter.or.some((one) => matches(one, item));
  if ('not' in filter) return !matches(filter.not, item);
  const { field, is } = filter;
  if (field === 'accountId')
    return ['debitAccountId', 'creditAccountId'].some((side) => holds(is, item.fields[side]!));
  const key = field.startsWith('metadata.') ? field.slice('metadata.'.length) : null;
  return holds(is, (key === null ? item.fields[field] : item.metadata[key]) ?? null);
}

function holds(is: Comparison, value: Value | null): boolean {
  return Object.entries(is).every(([operator, operand]) => {
    if (operator === 'eq') return value === operand;
    if (value === null) return false;
    if (operator === 'in') return (operand as readonly Value[]).includes(value);
    if (operator === 'startsWith') return String(value).startsWith(operand as string);
    const order = compare(value, operand as Value);
    return { gte: order >= 0, gt: order > 0, lte: order <= 0, lt: order < 0 }[operator];
  });
}

/** Texts in the order of their bytes in UTF-8. */
function compare(a: Value, b: Value): number {
  return typeof a === 'number' ? a - Number(b) : Buffer.compare(Buffer.from(a), Buffer.from(String(b)));
}
