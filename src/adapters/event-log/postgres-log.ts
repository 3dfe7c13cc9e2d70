import { sleep } from '../../utils/sleep.ts';
import type { Database } from '../postgres/database.ts';
import { ConsumerCounts } from './consumer-counts.ts';
import type { EventHandler, EventLog } from './event-log.ts';
import { type EventRow, eventColumns, joinTransfers, toEvent } from './event-rows.ts';
import { applyOnce } from './inbox.ts';

/** The partition number of the table `events`. Kafka's start at 0. */
export const TABLE_PARTITION = -1;

const BATCH_EVENTS_MAX = 500;
const POLL_MS = 100;

/**
 * The event log without Kafka: the relay numbers the events of the table, and consumers continue after the last number
 * they read. Numbers are assigned under the lock of the relay's row until the commit, so none becomes visible late.
 */
export function openOutboxLog(db: Database): EventLog {
  const counts = new ConsumerCounts();

  /** Handles one batch in one transaction. Returns whether there may be more. */
  async function step(consumer: string, handle: EventHandler): Promise<boolean> {
    const applied = await db.transaction(async (tx) => {
      await tx.query(
        (sql) => sql`
        INSERT INTO consumer_offsets (consumer, partition, position) VALUES (${consumer}, ${TABLE_PARTITION}, 0)
        ON CONFLICT DO NOTHING`,
      );
      // Another process that runs this consumer waits here, and continues where this one stops.
      const [offset] = await tx.query(
        (sql) => sql<[{ position: number }]>`
        SELECT position FROM consumer_offsets
        WHERE consumer = ${consumer} AND partition = ${TABLE_PARTITION} FOR UPDATE`,
      );
      const rows = await tx.query(
        (sql) => sql<(EventRow & { position: number })[]>`
        SELECT e.position, ${eventColumns(sql)} FROM events e ${joinTransfers(sql)}
        WHERE e.position > ${offset.position} ORDER BY e.position LIMIT ${BATCH_EVENTS_MAX}`,
      );
      const last = rows.at(-1)?.position;
      if (last === undefined) return null;
      const outcome = await applyOnce(tx, consumer, rows.map(toEvent), handle);
      if (!outcome.isComplete) return { ...outcome, isFull: true };
      await tx.query(
        (sql) => sql`
        UPDATE consumer_offsets SET position = ${last} WHERE consumer = ${consumer} AND partition = ${TABLE_PARTITION}`,
      );
      return { ...outcome, isFull: rows.length === BATCH_EVENTS_MAX };
    });
    if (applied) counts.add(consumer, applied);
    return applied?.isFull === true;
  }

  return {
    mode: 'postgresql',
    publisher: null,
    dependency: null,
    consumer: {
      async run(consumer, handle, signal) {
        while (!signal.aborted) {
          try {
            // Usually there is nothing to do, and checking needs no transaction.
            const lag = await lagOf(db, consumer, signal);
            counts.setLag(consumer, lag);
            const isMore = lag > 0 && (await step(consumer, handle));
            if (!isMore) await sleep(POLL_MS, signal);
          } catch (error) {
            if (signal.aborted) break;
            counts.fail(consumer);
            throw error;
          }
        }
        // The process that takes over reports the lag.
        counts.setLag(consumer, 0);
      },
      stats: () => counts.stats(),
    },
    async ends(signal) {
      const [relay] = await db.query(
        (sql) => sql<[{ lastPosition: number }]>`SELECT last_position FROM relay`,
        { signal },
      );
      return new Map([[TABLE_PARTITION, relay.lastPosition]]);
    },
    close: async () => {},
  };
}

async function lagOf(db: Database, consumer: string, signal: AbortSignal): Promise<number> {
  const [row] = await db.query(
    (sql) => sql<[{ lag: number }]>`
      SELECT last_position - coalesce((SELECT position FROM consumer_offsets
        WHERE consumer = ${consumer} AND partition = ${TABLE_PARTITION}), 0) AS lag FROM relay`,
    { signal },
  );
  return row.lag;
}
