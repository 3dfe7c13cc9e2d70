import { type AtlasEvent, eventIdOf } from '../../utils/event.ts';
import { sleep } from '../../utils/sleep.ts';
import type { Database } from '../postgres/database.ts';
import { rowsWithin, type SizedRow, takePage } from '../postgres/page-of-bytes.ts';
import type { Queryable } from '../postgres/query.ts';
import type { EventHandler } from './event-log.ts';
import { type EventRow, eventSize, toEvent } from './event-rows.ts';

/** Deferred events, for metrics. */
export interface DeferredStats {
  /** Owners with deferred events. */
  readonly owners: number;
  /** How long the oldest of them has been deferred; 0 if there is none. */
  readonly ageSeconds: number;
}

/** What an owner had deferred of one batch. */
interface Part {
  readonly owner: string;
  readonly id: number;
  readonly positions: readonly number[];
}

// What an owner gets handled before the next one does.
const TURN_EVENTS_MAX = 50;
const POLL_MS = 200;
const MEASURE_MS = 15_000;
const NONE: DeferredStats = { owners: 0, ageSeconds: 0 };

/**
 * Events that a consumer handles later than their position in the log. A log has one order for all owners, so a
 * consumer defers the events of an owner that would hold up everybody, and handles them here: owners take turns (round
 * robin), so each waits for at most one turn of every other one. Hosts share the work through PostgreSQL.
 */
export class DeferredEvents {
  readonly #db: Database;
  readonly #consumer: string;
  /** The last owner that had a turn in this round. */
  #after = '';
  #stats = NONE;
  #nextMeasureMs = 0;

  constructor(db: Database, consumer: string) {
    this.#db = db;
    this.#consumer = consumer;
  }

  /** Returns which of the owners have deferred events. */
  async ownersAmong(owners: readonly string[], tx: Queryable): Promise<ReadonlySet<string>> {
    const rows = await tx.query(
      (sql) => sql<{ owner: string }[]>`
        SELECT owner FROM unnest(${owners as string[]}::text[]) o(owner) WHERE EXISTS (
          SELECT FROM deferred_events d WHERE d.consumer = ${this.#consumer} AND d.owner = o.owner)`,
    );
    return new Set(rows.map(({ owner }) => owner));
  }

  /** Defers events. Returns the ids of those that it has: one that only Kafka has so far cannot be found later. */
  async defer(events: readonly AtlasEvent[], tx: Queryable): Promise<ReadonlySet<string>> {
    const rows = await tx.query(
      (sql) => sql<{ key: string; sequence: number }[]>`
        SELECT key, sequence FROM defer_events(${this.#consumer}, ${events.map(({ key }) => key)}::text[],
          ${events.map(({ sequence }) => sequence)}::bigint[])`,
    );
    return new Set(rows.map(eventIdOf));
  }

  /** Handles deferred events until the signal aborts. `handle` runs in the transaction that also removes them. */
  async run(handle: EventHandler, signal: AbortSignal): Promise<void> {
    this.#nextMeasureMs = 0;
    try {
      while (!signal.aborted) {
        if (performance.now() >= this.#nextMeasureMs) await this.#measure();
        if (!(await this.turn(handle))) await sleep(POLL_MS, signal);
      }
    } finally {
      this.#stats = NONE;
    }
  }

  stats(): DeferredStats {
    return this.#stats;
  }

  /** Gives the next owner a turn, also after a failure. Returns false if nothing is deferred. */
  async turn(handle: EventHandler): Promise<boolean> {
    // Usually there is nothing to do, and checking needs no transaction.
    const [any] = await this.#db.query(
      (sql) => sql<[{ isAny: boolean }]>`
        SELECT EXISTS (SELECT FROM deferred_events WHERE consumer = ${this.#consumer}) AS is_any`,
    );
    if (!any.isAny) return false;
    return this.#db.transaction(async (tx) => {
      const [part] = await tx.query(
        (sql) => sql<[Part | { owner: null }]>`
          SELECT owner, id, positions FROM take_deferred_events(${this.#consumer}, ${this.#after})`,
      );
      // Other processes handle all there is.
      if (part.owner === null) return false;
      this.#after = part.owner;
      const { events, upTo } = await readAt(part.positions.slice(0, TURN_EVENTS_MAX), tx);
      if (events.length > 0) await handle(events, tx);
      const left = part.positions.filter((position) => position > upTo);
      await tx.query((sql) =>
        left.length === 0
          ? sql`DELETE FROM deferred_events
              WHERE consumer = ${this.#consumer} AND owner = ${part.owner} AND id = ${part.id}`
          : sql`UPDATE deferred_events SET positions = ${left as number[]}::bigint[]
              WHERE consumer = ${this.#consumer} AND owner = ${part.owner} AND id = ${part.id}`,
      );
      return true;
    });
  }

  async #measure(): Promise<void> {
    const [row] = await this.#db.query(
      (sql) => sql<[DeferredStats]>`
        SELECT count(DISTINCT owner) AS owners,
          coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 AS age_seconds
        FROM deferred_events WHERE consumer = ${this.#consumer}`,
    );
    this.#stats = row;
    this.#nextMeasureMs = performance.now() + MEASURE_MS;
  }
}

/** Reads the events at these positions, and returns up to which: not the last one if they are large. */
async function readAt(
  positions: readonly number[],
  tx: Queryable,
): Promise<{ events: AtlasEvent[]; upTo: number }> {
  const rows = await tx.query(
    (sql) => sql<(EventRow & SizedRow & { position: number })[]>`
      ${rowsWithin(sql, {
        source: sql`SELECT * FROM read_events_at(${positions as number[]}::bigint[])`,
        order: sql`position`,
        ...eventSize(sql),
      })} ORDER BY nth`,
  );
  const { page, hasMore } = takePage(rows, rows.length);
  return { events: page.map(toEvent), upTo: hasMore ? page.at(-1)!.position : positions.at(-1)! };
}
