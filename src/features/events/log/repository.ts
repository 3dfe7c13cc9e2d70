import { type EventRow, eventColumns, toEvent } from '../../../adapters/event-log/event-rows.ts';
import type { Database } from '../../../adapters/postgres/database.ts';
import type { Fragment } from '../../../adapters/postgres/query.ts';
import type { SentEvent } from './domain.ts';

/** The result of a search: the events found, and how far it has scanned. */
export interface Scan {
  readonly events: readonly SentEvent[];
  /** How many events were scanned, and the position of the last one; null if there was none. */
  readonly scanned: number;
  readonly scannedTo: number | null;
}

/** Restricts a list of events. */
export interface EventFilter {
  readonly type?: string | undefined;
  readonly key?: string | undefined;
}

/** The owners of new events. */
export interface News {
  readonly owners: readonly string[];
  readonly lastPosition: number;
}

/** Sent events in PostgreSQL. A position becomes visible after all lower ones, so none is ever skipped. */
export interface EventRepository {
  /** Lists the owner's events after the position, in position order. */
  listAfter(
    owner: string,
    position: number,
    limit: number,
    signal?: AbortSignal,
  ): Promise<readonly SentEvent[]>;
  /** Lists matching events among the owner's next `scanMax` events after the position. */
  search(
    owner: string,
    filter: EventFilter,
    position: number,
    limit: number,
    scanMax: number,
    signal?: AbortSignal,
  ): Promise<Scan>;
  /** Lists events of a key after the sequence, in sequence order, which is also position order. */
  listOfKey(
    owner: string,
    key: string,
    sequence: number,
    limit: number,
    signal?: AbortSignal,
  ): Promise<readonly SentEvent[]>;
  find(owner: string, key: string, sequence: number, signal?: AbortSignal): Promise<SentEvent | null>;
  /** Returns the sequence of the owner's event at the position, or null if the event has another key or owner. */
  sequenceAt(owner: string, key: string, position: number, signal?: AbortSignal): Promise<number | null>;
  /** Returns the position of the last event of all owners, 0 if there is none. */
  lastPosition(signal?: AbortSignal): Promise<number>;
  /** Returns the owners of up to `limit` events after the position, or null if there are no events. */
  newsAfter(position: number, limit: number, signal?: AbortSignal): Promise<News | null>;
}

type SentRow = EventRow & { readonly position: number };

export function createEventRepository(db: Database): EventRepository {
  const columns = db.fragment`e.position, ${eventColumns(db.fragment)}`;
  /** Reads the chosen events, with their transfers joined by id. */
  const read = async (chosen: Fragment, order: Fragment, signal?: AbortSignal) => {
    const rows = await db.query(
      (sql) => sql<SentRow[]>`
        SELECT ${columns}
        FROM (${chosen}) e LEFT JOIN transfers t ON t.id = e.transfer_id ORDER BY ${order}`,
      { signal },
    );
    return rows.map(toSentEvent);
  };

  return {
    listAfter: (owner, position, limit, signal) =>
      read(
        db.fragment`SELECT * FROM events WHERE owner = ${owner} AND position > ${position} ORDER BY position LIMIT ${limit}`,
        db.fragment`e.position`,
        signal,
      ),
    async search(owner, { type = null, key = null }, position, limit, scanMax, signal) {
      // One statement, so that the scan and its matches are from the same snapshot.
      const rows = await db.query(
        (sql) => sql<(SentRow & { scanned: number; scannedTo: number | null })[]>`
          WITH next AS MATERIALIZED (
            SELECT position AS at, type AS kind, key AS of FROM events
            WHERE owner = ${owner} AND position > ${position} ORDER BY position LIMIT ${scanMax}
          ), chosen AS (
            SELECT at FROM next
            WHERE kind = coalesce(${type}::text, kind) AND of = coalesce(${key}::text, of) ORDER BY at LIMIT ${limit}
          )
          SELECT ${columns}, scanned, scanned_to
          FROM (SELECT count(*) AS scanned, max(at) AS scanned_to FROM next) n
          LEFT JOIN chosen ON true LEFT JOIN events e ON e.position = chosen.at
          LEFT JOIN transfers t ON t.id = e.transfer_id ORDER BY e.position`,
        { signal },
      );
      const { scanned, scannedTo } = rows[0]!;
      return { events: rows.filter((row) => row.position !== null).map(toSentEvent), scanned, scannedTo };
    },
    listOfKey: (owner, key, sequence, limit, signal) =>
      read(
        db.fragment`SELECT * FROM events WHERE owner = ${owner} AND key = ${key} AND sequence > ${sequence}
            ORDER BY sequence LIMIT ${limit}`,
        db.fragment`e.sequence`,
        signal,
      ),
    async find(owner, key, sequence, signal) {
      const [event] = await read(
        db.fragment`SELECT * FROM events WHERE owner = ${owner} AND key = ${key} AND sequence = ${sequence}`,
        db.fragment`e.sequence`,
        signal,
      );
      return event ?? null;
    },
    async sequenceAt(owner, key, position, signal) {
      const [row] = await db.query(
        (sql) =>
          sql<
            { sequence: number }[]
          >`SELECT sequence FROM events WHERE position = ${position} AND key = ${key} AND owner = ${owner}`,
        { signal },
      );
      return row?.sequence ?? null;
    },
    async lastPosition(signal) {
      const [row] = await db.query(
        (sql) => sql<[{ last: number }]>`SELECT coalesce(max(position), 0) AS last FROM events`,
        { signal },
      );
      return row.last;
    },
    async newsAfter(position, limit, signal) {
      const rows = await db.query(
        (sql) => sql<{ owner: string; last: number }[]>`
          SELECT owner, max(position) AS last FROM (
            SELECT owner, position FROM events WHERE position > ${position} ORDER BY position LIMIT ${limit}) n
          GROUP BY owner`,
        { signal },
      );
      if (rows.length === 0) return null;
      return {
        owners: rows.map(({ owner }) => owner),
        lastPosition: Math.max(...rows.map(({ last }) => last)),
      };
    },
  };
}

function toSentEvent(row: SentRow): SentEvent {
  return { position: row.position, ...toEvent(row) };
}
