import type { AtlasEvent } from '../../utils/event.ts';
import { PAGE_BYTES_MAX, rowsWithin, type SizedRow, takePage } from '../postgres/page-of-bytes.ts';
import type { Queryable } from '../postgres/query.ts';
import type { EventHandler } from './event-log.ts';
import { type EventRow, eventColumns, eventSize, joinTransfers, toEvent } from './event-rows.ts';

/** The result of a batch. */
export interface Applied {
  /** Events that took effect now. */
  readonly handled: number;
  /** Duplicates. */
  readonly repeated: number;
  /** Handled events that the log had lost. */
  readonly recovered: number;
  /** False if more was lost than fits in one transaction: pass the same events again. */
  readonly isComplete: boolean;
}

/** Events of a key are missing in the log and in PostgreSQL. The consumer stops rather than skip them. */
export class EventGapError extends Error {
  constructor(consumer: string, key: string, seen: number, next: number) {
    super(
      `The consumer ${consumer} cannot continue after event ${seen} of ${key}.\n  why:  the next event in the log is ${next}, and the ones in between are not in PostgreSQL either; nothing was skipped\n  do:   restore a backup, and do not delete rows of the table inbox`,
    );
    this.name = 'EventGapError';
  }
}

const NEVER_SEEN = -1;
// A key that lost millions of events must neither fill the memory nor outlast a transaction.
const RECOVERED_MAX = 2000;

/** How much one transaction may still recover. */
interface Budget {
  events: number;
  bytes: number;
}

/**
 * Passes the events that the consumer has not seen to `handle`, in order, and records them in the same transaction
 * (idempotent consumer, inbox pattern). Locks the keys in key order until the transaction ends, so nobody else handles
 * their events meanwhile. Throws {@link EventGapError}, and whatever `handle` throws.
 */
export async function applyOnce(
  tx: Queryable,
  consumer: string,
  events: readonly AtlasEvent[],
  handle: EventHandler,
): Promise<Applied> {
  if (events.length === 0) return { handled: 0, repeated: 0, recovered: 0, isComplete: true };
  const keys = [...new Set(events.map(({ key }) => key))].sort();
  const rows = await tx.query(
    (sql) => sql<{ key: string; sequence: number }[]>`SELECT * FROM lock_inbox(${consumer}, ${keys}::text[])`,
  );
  const seen = new Map(rows.map(({ key, sequence }) => [key, sequence]));
  const fresh: AtlasEvent[] = [];
  let repeated = 0;
  let recovered = 0;
  const budget = { events: RECOVERED_MAX, bytes: PAGE_BYTES_MAX };
  const behind = new Set<string>();
  for (const event of events) {
    if (behind.has(event.key)) continue;
    const last = seen.get(event.key)!;
    if (event.sequence <= last) {
      repeated++;
      continue;
    }
    if (event.sequence > last + 1) {
      const { lost, isAll } = await findSent(tx, consumer, event, last, budget);
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
      SELECT advance_inbox(${consumer}, ${[...seen.keys()]}::text[], ${[...seen.values()]}::bigint[])`,
    );
  }
  return { handled: fresh.length, repeated, recovered, isComplete: behind.size === 0 };
}

/**
 * Returns the events between the last one seen and this one, as far as the budget goes. PostgreSQL stores all of them;
 * Kafka deletes old ones. A key that was never seen starts with its first stored event.
 */
async function findSent(
  tx: Queryable,
  consumer: string,
  { key, sequence }: AtlasEvent,
  last: number,
  budget: Budget,
): Promise<{ lost: AtlasEvent[]; isAll: boolean }> {
  const bytesMax = Math.max(0, budget.bytes);
  const eventsMax = bytesMax > 0 ? budget.events : 0;
  const rows = await tx.query(
    (sql) => sql<(EventRow & SizedRow)[]>`
    ${rowsWithin(sql, {
      source: sql`
        SELECT ${eventColumns(sql)} FROM events e ${joinTransfers(sql)}
        WHERE e.key = ${key} AND e.sequence > ${last} AND e.sequence < ${sequence} ORDER BY e.sequence
        LIMIT ${eventsMax + 1}`,
      order: sql`sequence`,
      ...eventSize(sql),
      bytesMax,
    })} ORDER BY nth`,
  );
  const { page, hasMore } = takePage(rows, eventsMax, bytesMax);
  budget.events -= page.length;
  budget.bytes -= page.at(-1)?.bytesSoFar ?? 0;
  const isAll = !hasMore;
  let before = last === NEVER_SEEN ? (rows[0]?.sequence ?? sequence) - 1 : last;
  for (const next of isAll ? [...rows, { sequence }] : rows) {
    if (next.sequence !== before + 1) throw new EventGapError(consumer, key, before, next.sequence);
    before = next.sequence;
  }
  return { lost: page.map(toEvent), isAll };
}
