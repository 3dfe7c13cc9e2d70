import {
  type EventRow,
  eventColumns,
  eventSize,
  joinTransfers,
  toEvent,
} from '../../../adapters/event-log/event-rows.ts';
import type { Database } from '../../../adapters/postgres/database.ts';
import type { Incarnation } from '../../../adapters/postgres/incarnation.ts';
import { isolates } from '../../../adapters/postgres/isolation.ts';
import { rowsWithin, type SizedRow, takePage } from '../../../adapters/postgres/page-of-bytes.ts';
import type { Backlog, ParkedKey, Poison, RelayStatus, UnsentBatch } from './domain.ts';
import { type OutboxRow, toUnsent } from './outbox-rows.ts';

/** The result of a mark. */
export interface Marked {
  readonly lastPosition: number;
  readonly sent: number;
}

/** The result of a move. `moved` counts rows; null if nothing was moved, because some rows need to be read first. */
export interface Moved extends Marked {
  readonly moved: number | null;
}

/** The outbox, the log and the relay's lease in PostgreSQL. Times are by its clock. */
export interface RelayRepository {
  /** Takes the lease if it has expired or its holder has died. Returns the new epoch, or null. */
  take(holder: string, leaseMs: number): Promise<number | null>;
  /** Renews the lease. Returns false if another process is the relay now. */
  renew(epoch: number, leaseMs: number): Promise<boolean>;
  /** Ends the lease now, so that a successor does not have to wait. */
  giveUp(epoch: number): Promise<void>;
  /**
   * Reads the first rows of the outbox, except the given ones, as events in order, in one snapshot: fewer if they are
   * large. The content of the events is included on request.
   */
  read(rowsMax: number, withEvents: boolean, exceptRowIds?: readonly number[]): Promise<UnsentBatch>;
  /**
   * Moves rows of the outbox to the log, with the next positions. Rows of keys that are parked, or have poison here,
   * move to the parked events. One statement. Returns null, and does nothing, if the epoch is not the newest.
   */
  mark(epoch: number, rowIds: readonly number[], poison: readonly Poison[]): Promise<Marked | null>;
  /**
   * Moves the first rows of the outbox to the log without reading them, if every event continues its key and no key is
   * parked. For a log without a publisher. Returns null, and does nothing, if the epoch is not the newest.
   */
  move(epoch: number, rowsMax: number): Promise<Moved | null>;
  /** Returns parked keys that an operator wants to retry. */
  keysToRetry(keysMax: number): Promise<string[]>;
  /** Reads the first parked events of a key: fewer if they are large. */
  readParked(key: string, eventsMax: number): Promise<UnsentBatch>;
  /**
   * Moves parked events of a key up to a sequence to the log (null: none), and unparks the key if none is left, or
   * parks it again if it has poison. Returns null, and does nothing, if the epoch is not the newest.
   */
  markParked(epoch: number, key: string, upTo: number | null, poison: Poison | null): Promise<Marked | null>;
  backlog(): Promise<Backlog>;
  status(signal?: AbortSignal): Promise<RelayStatus>;
  /** Lists up to `keysMax` parked keys above `afterKey`, by key. */
  listParked(keysMax: number, afterKey?: string, signal?: AbortSignal): Promise<ParkedKey[]>;
  /** Requests a retry of one key, or of all. Returns how many. */
  retry(key: string | null): Promise<number>;
}

// A transfer becomes two messages, so this is half of what a batch may hold in memory.
const BATCH_BYTES_MAX = 2_097_152;

type ParkedMethods = 'keysToRetry' | 'readParked' | 'markParked' | 'listParked' | 'retry';

/** Who takes the lease. */
type Holder = Pick<Incarnation, 'hold'>;

export function createRelayRepository(db: Database, incarnation: Holder): RelayRepository {
  return { ...createOutbox(db, incarnation), ...createParkedEvents(db) };
}

function createOutbox(db: Database, incarnation: Holder): Omit<RelayRepository, ParkedMethods> {
  const lease = (ms: number) => db.fragment`clock_timestamp() + ${ms} * interval '1 millisecond'`;

  return {
    async take(holder, leaseMs) {
      const id = await incarnation.hold();
      const [row] = await db.query(
        (sql) => sql<{ epoch: number }[]>`
        UPDATE relay SET epoch = epoch + 1, holder = ${holder}, expires_at = ${lease(leaseMs)}, incarnation = ${id},
          incarnation_epoch = epoch + 1
        -- If another process takes the lease while this waits for it, the snapshot may lack its incarnation.
        WHERE epoch = (SELECT epoch FROM relay)
          AND (expires_at < clock_timestamp()
           -- A lease that ends this late was taken before the clock was set back.
           OR expires_at > ${lease(2 * leaseMs)}
           -- A host of the release before takes the lease without an incarnation, so the epochs differ.
           OR (epoch = incarnation_epoch AND NOT EXISTS (
             SELECT FROM incarnations i WHERE i.id = relay.incarnation AND i.expires_at > clock_timestamp())))
        RETURNING epoch`,
      );
      return row?.epoch ?? null;
    },
    async renew(epoch, leaseMs) {
      const { count } = await db.query(
        (sql) => sql`UPDATE relay SET expires_at = ${lease(leaseMs)} WHERE epoch = ${epoch}`,
      );
      return count === 1;
    },
    async giveUp(epoch) {
      await db.query((sql) => sql`UPDATE relay SET expires_at = '-infinity' WHERE epoch = ${epoch}`);
    },
    async read(rowsMax, withEvents, exceptRowIds = []) {
      const rows = await db.query(
        (sql) => sql<(OutboxRow & SizedRow)[]>`
        ${rowsWithin(sql, {
          source: sql`
            SELECT r.*, o.*, ${isolates(sql)} AS isolates
            FROM read_outbox(${rowsMax}, ${arrayOf(exceptRowIds)}::bigint[]) r
            LEFT JOIN LATERAL (SELECT debit_owner AS payer, credit_owner AS payee FROM outbox
              WHERE id = r.id LIMIT 1) o ON true`,
          order: sql`id`,
          ...eventSize(sql),
          bytesMax: BATCH_BYTES_MAX,
        })} ORDER BY nth`,
      );
      const { page, hasMore } = takePage(rows, rowsMax, BATCH_BYTES_MAX);
      const unsent = page.flatMap((row) => toUnsent(row, withEvents));
      return { unsent, hasMore: hasMore || page.length === rowsMax };
    },
    async mark(epoch, rowIds, poison) {
      const [row] = await db.query(
        (sql) => sql<[Marked | { lastPosition: null }]>`
        SELECT last_position, sent FROM mark_outbox(${epoch}, ${arrayOf(rowIds)}::bigint[],
          ${poison.map((p) => p.key)}::text[], ${poison.map((p) => p.sequence)}::bigint[],
          ${poison.map((p) => p.reason)}::text[])`,
      );
      return row.lastPosition === null ? null : row;
    },
    async move(epoch, rowsMax) {
      const [row] = await db.query(
        (sql) => sql<[Moved | { lastPosition: null }]>`
        SELECT last_position, moved, sent FROM move_outbox(${epoch}, ${rowsMax})`,
      );
      return row.lastPosition === null ? null : row;
    },
    async backlog() {
      const [row] = await db.query(
        (sql) => sql<[Backlog]>`
        SELECT coalesce((SELECT max(id) - min(id) + 1 FROM outbox), 0) AS rows_max,
               coalesce((SELECT extract(epoch FROM clock_timestamp() - coalesce(o.occurred_at, t.created_at))::float8
                 FROM (SELECT * FROM outbox ORDER BY id LIMIT 1) o
                 LEFT JOIN transfers t ON t.id = o.transfer_id), 0) AS age_seconds`,
      );
      return row;
    },
    async status(signal) {
      const [row] = await db.query(
        (sql) => sql<[RelayStatus]>`
          SELECT (SELECT count(*) FROM outbox) AS unsent,
                 (SELECT extract(epoch FROM clock_timestamp() - coalesce(o.occurred_at, t.created_at))::float8
                    FROM outbox o LEFT JOIN transfers t ON t.id = o.transfer_id
                   ORDER BY o.id LIMIT 1) AS oldest_age_seconds,
                 CASE WHEN expires_at > clock_timestamp() THEN holder END AS holder, epoch, last_position,
                 (SELECT count(*) FROM parked_keys) AS parked_keys,
                 (SELECT count(*) FROM parked_events) AS parked_events,
                 extract(epoch FROM clock_timestamp() - oldest.occurred_at)::float8 AS stored_seconds,
                 coalesce((SELECT c.consumer FROM consumer_offsets c WHERE NOT EXISTS (SELECT FROM inbox i
                    WHERE i.consumer = c.consumer AND i.key = oldest.key AND i.sequence >= oldest.sequence)
                    AND oldest.key IS NOT NULL LIMIT 1), (SELECT d.consumer FROM deferred_events d
                    WHERE d.positions[1] = oldest.position LIMIT 1)) AS oldest_unread_by,
                 coalesce((SELECT json_agg(json_build_object('consumer', consumer, 'partition', partition,
                   'position', position) ORDER BY consumer, partition) FROM consumer_offsets), '[]') AS consumers,
                 coalesce((SELECT json_agg(json_build_object('consumer', consumer, 'owners', owners, 'events', events,
                   'oldestAgeSeconds', age) ORDER BY consumer) FROM (
                     SELECT consumer, count(DISTINCT owner) AS owners, sum(cardinality(positions)) AS events,
                            extract(epoch FROM clock_timestamp() - min(created_at)) AS age
                       FROM deferred_events GROUP BY consumer) d), '[]') AS deferred
            FROM relay LEFT JOIN (SELECT * FROM events WHERE position > (SELECT position FROM log_start)
              ORDER BY position LIMIT 1) oldest ON true`,
        { signal },
      );
      return row;
    },
  };
}

function createParkedEvents(db: Database): Pick<RelayRepository, ParkedMethods> {
  return {
    async keysToRetry(keysMax) {
      const rows = await db.query(
        (sql) =>
          sql<{ key: string }[]>`SELECT key FROM parked_keys WHERE retry ORDER BY parked_at LIMIT ${keysMax}`,
      );
      return rows.map(({ key }) => key);
    },
    async readParked(key, eventsMax) {
      const rows = await db.query(
        (sql) => sql<(EventRow & SizedRow & { lastSent: number | null })[]>`
        SELECT page.*, greatest((SELECT max(sequence) FROM events WHERE key = ${key}),
          (SELECT sequence FROM forgotten_keys WHERE key = ${key})) AS last_sent FROM (${rowsWithin(sql, {
            source: sql`
              SELECT ${eventColumns(sql)}, e.no FROM parked_events e ${joinTransfers(sql)}
              WHERE e.key = ${key} ORDER BY e.sequence, e.no LIMIT ${eventsMax + 1}`,
            order: sql`sequence, no`,
            ...eventSize(sql),
            bytesMax: BATCH_BYTES_MAX,
          })}) page ORDER BY nth`,
      );
      let count = takePage(rows, eventsMax, BATCH_BYTES_MAX).page.length;
      // Events that claim the same sequence stay together: the second one is then found to be out of order.
      while (count > 1 && rows[count]?.sequence === rows[count - 1]!.sequence) count--;
      const unsent = rows.slice(0, count).map((row) => ({
        rowId: 0,
        key,
        sequence: row.sequence,
        lastSent: row.lastSent,
        isParked: false,
        event: toEvent(row),
      }));
      return { unsent, hasMore: count < rows.length };
    },
    async markParked(epoch, key, upTo, poison) {
      const [row] = await db.query(
        (sql) => sql<Marked[]>`
        WITH taken AS MATERIALIZED (
          SELECT * FROM parked_events WHERE key = ${key} AND sequence <= ${upTo}::bigint
        ), lease AS (
          UPDATE relay SET last_position = last_position + (SELECT count(*) FROM taken)
           WHERE epoch = ${epoch} RETURNING last_position
        ), sent AS (
          INSERT INTO events (position, owner, type, key, sequence, occurred_at, transfer_id, data)
          SELECT last_position - (SELECT count(*) FROM taken) + row_number() OVER (ORDER BY sequence),
                 owner, type, key, sequence, occurred_at, transfer_id, data
            FROM taken, lease
        ), gone AS (
          DELETE FROM parked_events USING lease WHERE key = ${key} AND sequence <= ${upTo}::bigint
        ), again AS (
          UPDATE parked_keys SET retry = false, reason = ${poison?.reason ?? ''}, parked_at = now()
            FROM lease WHERE key = ${key} AND ${poison !== null}
        ), unparked AS (
          DELETE FROM parked_keys USING lease WHERE key = ${key} AND ${poison === null}
             AND NOT EXISTS (SELECT FROM parked_events e
               WHERE e.key = ${key} AND e.sequence > coalesce(${upTo}::bigint, -1))
        )
        SELECT last_position, (SELECT count(*) FROM taken) AS sent FROM lease`,
      );
      return row ?? null;
    },
    async listParked(keysMax, afterKey = '', signal) {
      const rows = await db.query(
        (sql) => sql<(Omit<ParkedKey, 'parkedAt'> & { parkedAt: Date })[]>`
          SELECT key, reason, parked_at, retry,
                 (SELECT count(*) FROM parked_events e WHERE e.key = k.key) AS waiting
            FROM parked_keys k WHERE key > ${afterKey} ORDER BY key LIMIT ${keysMax}`,
        { signal },
      );
      return rows.map((row) => ({ ...row, parkedAt: row.parkedAt.toISOString() }));
    },
    async retry(key) {
      const { count } = await db.query(
        (sql) => sql`UPDATE parked_keys SET retry = true WHERE ${key === null} OR key = ${key}`,
      );
      return count;
    },
  };
}

function arrayOf(ids: readonly number[]): string {
  return `{${ids.join(',')}}`;
}
