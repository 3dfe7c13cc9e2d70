import type { Movement, PostRequest } from '../movement.ts';

/** The arguments of `post_movements` that are arrays by request or by item, as literals. */
export type PostingArguments = ReturnType<typeof postingArguments>;

/** Returns the arguments that every batch has. */
export function postingArguments(requests: readonly PostRequest[], items: readonly Movement[]) {
  const accounts = numberAccounts(items);
  const numberOf = (id: string) => accounts.get(id)!;
  return {
    owners: quotedArrayOf(requests.map((request) => request.owner)),
    keys: quotedArrayOf(requests.map((request) => request.key)),
    fingerprints: arrayOf(requests.map((request) => `"\\\\x${request.fingerprint}"`)),
    atomic: arrayOf(requests.map((request) => request.atomic)),
    accounts: arrayOf([...accounts.keys()]),
    requests: arrayOf(requests.flatMap((request, i) => request.orders.map(() => i + 1))),
    ids: arrayOf(items.map((item) => item.id)),
    otherIds: arrayOf(items.map(otherIdOf)),
    debits: arrayOf(items.map((item) => ('debitAccountId' in item ? numberOf(item.debitAccountId) : 'NULL'))),
    credits: arrayOf(
      items.map((item) => ('creditAccountId' in item ? numberOf(item.creditAccountId) : 'NULL')),
    ),
    amounts: arrayOf(items.map((item) => ('amount' in item ? (item.amount ?? 'NULL') : 'NULL'))),
    references: quotedArrayOf(items.map((item) => ('reference' in item ? item.reference : null))),
    effectiveAt: effectiveTimesOf(items),
    metadata: quotedArrayOf(items.map((item) => ('metadata' in item ? JSON.stringify(item.metadata) : null))),
  };
}

/** Returns when the items take effect; null if all do when they are posted. */
function effectiveTimesOf(items: readonly Movement[]): string | null {
  const timeOf = (item: Movement) => ('effectiveAt' in item && item.effectiveAt) || 'NULL';
  return items.every((item) => timeOf(item) === 'NULL') ? null : arrayOf(items.map(timeOf));
}

/** Returns the arguments that a batch of transfers does not have; null if it is one. */
export function kindArguments(items: readonly Movement[]) {
  if (items.every(({ kind }) => kind === undefined)) return null;
  return {
    kinds: arrayOf(items.map(({ kind = 'transfer' }) => kind)),
    targets: arrayOf(items.map(targetOf)),
    seconds: arrayOf(items.map((item) => (item.kind === 'hold' ? item.expiresInSeconds : 'NULL'))),
    keepsRest: arrayOf(items.map((item) => item.kind === 'post' && item.keepRest)),
    forces: arrayOf(items.map((item) => item.kind === 'reverse' && item.force)),
  };
}

/** Returns the arguments that a batch without exchanges does not have; null if it is one. */
export function exchangeArguments(items: readonly Movement[]) {
  if (items.every((item) => item.kind !== undefined || item.exchange === undefined)) return null;
  const found = items.flatMap((item, i) =>
    item.kind === undefined && item.exchange !== undefined ? [{ item: i + 1, ...item.exchange }] : [],
  );
  return {
    items: arrayOf(found.map(({ item }) => item)),
    ids: arrayOf(found.map(({ id }) => id)),
    rates: arrayOf(found.map(({ rate }) => rate)),
    roundings: arrayOf(found.map(({ rounding }) => rounding)),
    fixedSides: arrayOf(found.map(({ fixedSide }) => fixedSide)),
  };
}

/** The ID of the other release. A hold or void has none, and null would mean that the caller chose the ID. */
function otherIdOf(item: Movement): string {
  if (item.kind === 'hold' || item.kind === 'void') return item.id;
  return item.formerId ?? 'NULL';
}

function targetOf(item: Movement): string {
  if (item.kind === 'post' || item.kind === 'void') return item.holdId;
  return item.kind === 'reverse' ? item.transferId : 'NULL';
}

/** Numbers the accounts from 1, in id order, which is the order of locking. */
function numberAccounts(orders: readonly Movement[]): Map<string, number> {
  const ids = new Set<string>();
  for (const order of orders)
    if ('debitAccountId' in order) ids.add(order.debitAccountId).add(order.creditAccountId);
  return new Map([...ids].sort().map((id, i) => [id, i + 1]));
}

// Arrays are sent as literals and returned as JSON: the driver would call a function per element.
/** Returns the literal of an array whose elements need no quotes. */
export function arrayOf(values: readonly (string | number | boolean)[]): string {
  return `{${values.join(',')}}`;
}

function quotedArrayOf(values: readonly (string | null)[]): string {
  return `{${values.map((value) => (value === null ? 'NULL' : `"${value.replace(/["\\]/g, '\\$&')}"`)).join(',')}}`;
}
