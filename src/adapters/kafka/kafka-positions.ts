import type { AtlasEvent } from '../../utils/event.ts';
import type { EventHandler } from '../event-log/event-log.ts';
import { type Applied, applyOnce } from '../event-log/inbox.ts';
import type { Database } from '../postgres/database.ts';

/** By partition, the offset after the last message whose effect is committed in PostgreSQL. */
export async function readPositions(
  database: Database,
  consumer: string,
): Promise<ReadonlyMap<number, number>> {
  const rows = await database.query(
    (sql) => sql<{ partition: number; position: number }[]>`
      SELECT partition, position FROM consumer_offsets WHERE consumer = ${consumer}`,
  );
  return new Map(rows.map(({ partition, position }) => [partition, position]));
}

/**
 * Commits the effect of the events and the position in one transaction. Redelivered events are recognized by the inbox,
 * not by their position. When the result is incomplete, the position stays, and the same events must be applied again.
 */
export function applyAt(
  database: Database,
  consumer: string,
  events: readonly AtlasEvent[],
  handle: EventHandler,
  { partition, position }: { readonly partition: number; readonly position: number },
): Promise<Applied> {
  return database.transaction(async (tx) => {
    const applied = await applyOnce(tx, consumer, events, handle);
    if (!applied.isComplete) return applied;
    await tx.query(
      (sql) => sql`
        INSERT INTO consumer_offsets (consumer, partition, position)
        VALUES (${consumer}, ${partition}, ${position})
        ON CONFLICT (consumer, partition) DO UPDATE SET position = excluded.position`,
    );
    return applied;
  });
}
