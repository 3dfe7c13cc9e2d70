import type { AtlasEvent } from '../../utils/event.ts';
import type { Queryable } from '../postgres/query.ts';
import type { EventHandler } from './event-log.ts';
import { type EventRow, eventColumns, joinTransfers, toEvent } from './event-rows.ts';

/** What became of a batch. */
export interface Applied {
  /** Events that had their effect now. */
  readonly handled: number;
  /** Events that had it before. */
  readonly repeated: number;
  /** Of the handled ones, those that the log had lost. */
  readonly recovered: number;
  /** False where more was lost than one transaction takes: the same events are to be handed over again. */
  readonly isComplete: boolean;
}

/** Events of a key are missing in the log and in PostgreSQL. To go on would skip them, so nobody does. */
export class EventGapError extends Error {
  constructor(consumer: string, key: string, seen: number, next: number) {
    super(
      `The consumer ${consumer} saw event ${seen} of ${key}, and the next one in the log is ${next}: what is between is nowhere. Nothing was skipped.`,
    );
    this.name = 'EventGapError';
  }
}

const NEVER_SEEN = -1;
// So that a key that lost millions neither fills the memory nor outlasts a transaction.
const RECOVERED_MAX = 2000;

/**
 * Hands over the events that the consumer has not seen, in their order, and notes them as seen, all in the transaction
 * (the idempotent consumer with an inbox). Locks the keys in their order until it ends, so that nobody else handles an
 * event of them meanwhile. Throws {@link EventGapError}, and whatever `handle` throws.
 */
export async function applyOnce(
  tx: Queryable,
  consumer: string,
  events: readonly AtlasEvent[],
  handle: EventHandler,
): Promise<Applied> {
  if (events.length === 0) return { handled: 0, repeated: 0, recovered: 0, isComplete: true };
  const keys = [...new Set(events.map(({ key }) => key))].sort();
  await tx.query(
    (sql) => sql`
    INSERT INTO inbox (consumer, key, sequence)
    SELECT ${consumer}, key, ${NEVER_SEEN} FROM unnest(${keys}::text[]) WITH ORDINALITY k(key, no) ORDER BY no
    ON CONFLICT DO NOTHING`,
  );
  const rows = await tx.query(
    (sql) => sql<{ key: string; sequence: number }[]>`
    SELECT key, sequence FROM inbox WHERE consumer = ${consumer} AND key = ANY (${keys}::text[])
    ORDER BY key COLLATE "C" FOR UPDATE`,
  );
  const seen = new Map(rows.map(({ key, sequence }) => [key, sequence]));
  const fresh: AtlasEvent[] = [];
  let repeated = 0;
  let recovered = 0;
  const behind = new Set<string>();
  for (const event of events) {
    if (behind.has(event.key)) continue;
    const last = seen.get(event.key)!;
    if (event.sequence <= last) {
      repeated++;
      continue;
    }
    if (event.sequence > last + 1) {
      const { lost, isAll } = await findSent(tx, consumer, event, last, RECOVERED_MAX - recovered);
      recovered += lost.length;
      fresh.push(...lost);
      if (!isAll) {
        behind.add(event.key);
        seen.set(event.key, lost.at(-1)?.sequence ?? last);
        continue;
      }
    }
    fresh.push(event);
    seen.set(event.key, event.sequence);
  }
  if (fresh.length > 0) {
    await handle(fresh, tx);
    await tx.query(
      (sql) => sql`
      UPDATE inbox i SET sequence = s.sequence
        FROM unnest(${[...seen.keys()]}::text[], ${[...seen.values()]}::bigint[]) s(key, sequence)
       WHERE i.consumer = ${consumer} AND i.key = s.key AND i.sequence < s.sequence`,
    );
  }
  return { handled: fresh.length, repeated, recovered, isComplete: behind.size === 0 };
}

/**
 * What was sent between the last event seen and this one, up to a number of events. PostgreSQL keeps all of it; Kafka
 * forgets after a while. A key that was never seen begins with the first event that is kept of it.
 */
async function findSent(
  tx: Queryable,
  consumer: string,
  { key, sequence }: AtlasEvent,
  last: number,
  eventsMax: number,
): Promise<{ lost: AtlasEvent[]; isAll: boolean }> {
  const rows = await tx.query(
    (sql) => sql<EventRow[]>`
    SELECT ${eventColumns(sql)} FROM events e ${joinTransfers(sql)}
    WHERE e.key = ${key} AND e.sequence > ${last} AND e.sequence < ${sequence} ORDER BY e.sequence
    LIMIT ${eventsMax + 1}`,
  );
  const isAll = rows.length <= eventsMax;
  let before = last === NEVER_SEEN ? (rows[0]?.sequence ?? sequence) - 1 : last;
  for (const next of isAll ? [...rows, { sequence }] : rows) {
    if (next.sequence !== before + 1) throw new EventGapError(consumer, key, before, next.sequence);
    before = next.sequence;
  }
  return { lost: rows.slice(0, eventsMax).map(toEvent), isAll };
}
