import type { AgePosition } from './age-cursor.ts';

type Tag<F> = (strings: TemplateStringsArray, ...values: string[]) => F;

/** What a row has for its {@link AgePosition}. */
interface AgedRow {
  readonly id: string;
  readonly createdMicros: number;
}

/** The column of an {@link AgedRow}. A Date has milliseconds only: with them, a cursor would skip or repeat rows. */
export const createdMicros = <F>(sql: Tag<F>): F =>
  sql`(extract(epoch FROM created_at) * 1000000)::bigint AS created_micros`;

/** The age and ID of a position, to compare those of rows with. */
export const positionOf = <F>(sql: Tag<F>, position: AgePosition): F =>
  sql`('epoch'::timestamptz + ${String(position.createdMicros)}::bigint * interval '1 microsecond', ${position.id}::uuid)`;

/** Returns where the next page goes on, or null if there is none. */
export function nextByAge(page: readonly AgedRow[], hasMore: boolean): AgePosition | null {
  const last = page.at(-1);
  return hasMore && last ? { createdMicros: BigInt(last.createdMicros), id: last.id } : null;
}
