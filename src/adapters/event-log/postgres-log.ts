import type { AtlasEvent } from '../../utils/event.ts';
import { WakeUp } from '../../utils/wake-up.ts';
import type { Database } from '../postgres/database.ts';
import { rowsWithin, type SizedRow, takePage } from '../postgres/page-of-bytes.ts';
import type { Queryable } from '../postgres/query.ts';
import { ConsumerCounts } from './consumer-counts.ts';
import type { EventHandler, EventLog, OwnersOf } from './event-log.ts';
import { type EventRow, eventSize, toEvent } from './event-rows.ts';
import { applyOnce } from './inbox.ts';

/** The partition number of the table `events`. Kafka's start at 0. */
export const TABLE_PARTITION = -1;

// Events that a consumer handles in one transaction, at most a page of bytes of them, and those that it only records as
// seen.
const HANDLED_EVENTS_MAX = 500;
const BATCH_EVENTS_MAX = 10_000;
const POLL_MS = 100;
// While the relay runs in this process it wakes the consumers, so they need not poll for its events.
const QUIET_POLL_MS = 1000;
// With nobody interested in events, recording fewer and larger batches costs less.
const RECORD_MS = 500;

/**
 * The event log without Kafka: the relay numbers the events of the table, and consumers continue after the last number
 * they read. Numbers are assigned under the lock of the relay's row until the commit, so none becomes visible late.
 */
export function openOutboxLog(db: Database): EventLog {
  const counts = new ConsumerCounts();
  const sleeping = new Set<WakeUp>();
  let isRelayHere = false;

  /** Handles one batch in one transaction. Returns how many milliseconds to wait for the next one. */
  async function step(consumer: string, handle: EventHandler, ownersOf: OwnersOf): Promise<number> {
    const applied = await db.transaction(async (tx) => {
      // Another process that runs this consumer waits here, and continues where this one stops.
      const [range] = await tx.query(
        (sql) => sql<[{ after: number; upTo: number }]>`
        SELECT after, up_to FROM lock_consumer(${consumer}, ${BATCH_EVENTS_MAX})`,
      );
      const { after } = range;
      if (range.upTo === after) return null;
      // Read after the end of the range, so that an owner who took interest before an event is found.
      const owners = await ownersOf(tx);
      const isHandled = owners?.length !== 0;
      const end = isHandled ? Math.min(range.upTo, after + HANDLED_EVENTS_MAX) : range.upTo;
      const { events, upTo } = isHandled
        ? await readRange(tx, after, end, owners)
        : { events: [], upTo: end };
      const outcome = await applyOnce(tx, consumer, events, handle);
      if (!outcome.isComplete) return { ...outcome, waitMs: 0 };
      const isFull = upTo < range.upTo || upTo === after + BATCH_EVENTS_MAX;
      const { recorded, repeated } = await advance(tx, consumer, after, upTo, owners);
      return {
        handled: outcome.handled + recorded,
        repeated: outcome.repeated + repeated,
        recovered: outcome.recovered,
        isComplete: true,
        waitMs: isFull ? 0 : isHandled ? POLL_MS : RECORD_MS,
      };
    });
    if (applied) counts.add(consumer, applied);
    return applied?.waitMs ?? POLL_MS;
  }

  return {
    mode: 'postgresql',
    publisher: null,
    dependency: null,
    consumer: {
      async run(consumer, handle, signal, ownersOf = everyOwner) {
        const wakeUp = new WakeUp();
        sleeping.add(wakeUp);
        while (!signal.aborted) {
          try {
            // Usually there is nothing to do, and checking needs no transaction.
            const lag = await lagOf(db, consumer, signal);
            counts.setLag(consumer, lag);
            const waitMs = lag > 0 ? await step(consumer, handle, ownersOf) : POLL_MS;
            const maxMs = lag === 0 && isRelayHere ? QUIET_POLL_MS : waitMs;
            if (waitMs > 0) await wakeUp.sleep(waitMs, maxMs, signal);
          } catch (error) {
            if (signal.aborted) break;
            counts.fail(consumer);
            sleeping.delete(wakeUp);
            throw error;
          }
        }
        sleeping.delete(wakeUp);
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
    relayed(isLeading) {
      isRelayHere = isLeading;
      for (const wakeUp of sleeping) wakeUp.wake();
    },
    close: async () => {},
  };
}

const everyOwner: OwnersOf = async () => null;

/** Reads the events of the owners in a range, and returns where it ends: earlier if they are large. */
async function readRange(
  tx: Queryable,
  after: number,
  end: number,
  owners: readonly string[] | null,
): Promise<{ events: AtlasEvent[]; upTo: number }> {
  const rows = await tx.query(
    (sql) => sql<(EventRow & SizedRow & { position: number })[]>`
      ${rowsWithin(sql, {
        source: sql`SELECT * FROM read_events(${after}, ${end}, ${owners as string[] | null}::text[])`,
        order: sql`position`,
        ...eventSize(sql),
      })} ORDER BY nth`,
  );
  const { page, hasMore } = takePage(rows, rows.length);
  return { events: page.map(toEvent), upTo: hasMore ? page.at(-1)!.position : end };
}

/** Moves the position to the end of the range, and records the events of other owners as seen. */
async function advance(
  tx: Queryable,
  consumer: string,
  after: number,
  upTo: number,
  owners: readonly string[] | null,
): Promise<{ recorded: number; repeated: number }> {
  if (owners === null) {
    await tx.query(
      (sql) => sql`
      UPDATE consumer_offsets SET position = ${upTo} WHERE consumer = ${consumer} AND partition = ${TABLE_PARTITION}`,
    );
    return { recorded: 0, repeated: 0 };
  }
  const [row] = await tx.query(
    (sql) => sql<[{ recorded: number; repeated: number }]>`
    SELECT recorded, repeated FROM advance_consumer(${consumer}, ${after}, ${upTo}, ${owners as string[]}::text[])`,
  );
  return row;
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
