import type { Fragment, FragmentTag } from './query.ts';
import { sentAtOnce } from './query.ts';

const UUID_LENGTH = 36;

/** Returns one text for a UUID and its reader, or what that reader sees: reads are batched and cached by it. */
export function ownedId(owner: string, id: string): string {
  return `${id}/${owner}`;
}

/** Returns the UUID of an {@link ownedId}. */
export function idOf(owned: string): string {
  return owned.slice(0, UUID_LENGTH);
}

/** Returns the owner of an {@link ownedId}. */
export function readerOf(owned: string): string {
  return owned.slice(UUID_LENGTH + 1);
}

/** Returns a table function for {@link ownedId}s: their `id`, `reader`, and number `nth`, which begins at 1. */
export function ownedIds(sql: FragmentTag, owned: readonly string[]): Fragment {
  const ids = sentAtOnce(`{${owned.map(idOf)}}`);
  const readers = owned.map((one) => `"${readerOf(one).replace(/["\\]/g, '\\$&')}"`);
  return sql`unnest(${ids}::uuid[], ${`{${readers}}`}::text[]) WITH ORDINALITY AS wanted(id, reader, nth)`;
}
