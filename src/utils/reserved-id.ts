/** The kinds of ids that no caller chooses and that become the key of an event. */
export type ReservedKind =
  | 'file'
  | 'webhook'
  | 'test event'
  | 'hold'
  | 'document'
  | 'account change'
  | 'exchange'
  | 'import';

// Rare among ids that callers make from a hash. SQL has the range too: sql/migrations/0008_ids_of_owners.up.sql.
const RANGE = '8a71-a50';
const DIGITS: Readonly<Record<ReservedKind, string>> = {
  file: '1',
  webhook: '2',
  'test event': '3',
  hold: '4',
  document: '5',
  import: '6',
  'account change': 'a',
  exchange: 'e',
};

/**
 * Creates an id in the range of its kind: a UUIDv8 (RFC 9562) with the time of a UUIDv7, so ids of a kind sort by age,
 * and fixed digits in the middle, so it never equals an id of another kind. No account can be opened in the range.
 */
export function createReservedId(kind: ReservedKind): string {
  const id = Bun.randomUUIDv7();
  // The counter of the UUIDv7 comes first in the last group: it orders ids of the same millisecond.
  return `${id.slice(0, 14)}${RANGE}${DIGITS[kind]}-${id.slice(15, 18)}${id.slice(27)}`;
}

/**
 * Moves an id that was derived from a hash into the range of a kind, so that the same request gets the same id again.
 * Twenty-four of its digits are left.
 */
export function toReservedId(kind: ReservedKind, id: string): string {
  return `${id.slice(0, 14)}${RANGE}${DIGITS[kind]}-${id.slice(24)}`;
}
