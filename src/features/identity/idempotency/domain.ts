import { createHash } from 'node:crypto';

/** What the record of a stored response belongs to. */
export const responseContext = (id: string) => ({ purpose: 'idempotent response', id });

/**
 * Returns what equal requests have in common: the SHA-256 of their content, in whatever order its members are, and of
 * who alone gets the response.
 */
export function fingerprintOf(content: readonly unknown[], secretFor: string | undefined): Buffer {
  const identity = secretFor === undefined ? content : { content, secretFor };
  return createHash('sha256').update(JSON.stringify(identity, sorted)).digest();
}

function sorted(_name: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const members = Object.entries(value);
  // Names that look like numbers come first in an object, in any case.
  return Object.fromEntries(members.sort(([a], [b]) => (a < b ? -1 : 1)));
}
