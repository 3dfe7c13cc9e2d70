import {
  type EventRow,
  type ExpiredEvent,
  eventColumns,
  eventSize,
  lastExpired,
  toEvent,
} from '../../../adapters/event-log/event-rows.ts';
import type { Database } from '../../../adapters/postgres/database.ts';
import {
  PAGE_BYTES_MAX,
  rowsWithin,
  type SizedRow,
  takePage,
} from '../../../adapters/postgres/page-of-bytes.ts';
import type { Fragment } from '../../../adapters/postgres/query.ts';
import type { SentEvent } from './domain.ts';

/** Events in order, and whether more follow: a slice ends at a number of events, or of bytes. */
export interface EventSlice {
  readonly events: readonly SentEvent[];
  readonly hasMore: boolean;
}

/** The result of a search: the events found, and how far it has scanned. */
export interface Scan extends EventSlice {
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
  /** Lists the owner's events after the position, in position order. Large ones end at `bytesMax`, by default a page. */
  listAfter(
    owner: string,
    position: number,
    limit: number,
    signal?: AbortSignal,
    bytesMax?: number,
  ): Promise<EventSlice>;
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
  ): Promise<EventSlice>;
  find(owner: string, key: string, sequence: number, signal?: AbortSignal): Promise<SentEvent | null>;
  /** Returns the sequence of the owner's event at the position, or null if the event has another key or owner. */
  sequenceAt(owner: string, key: string, position: number, signal?: AbortSignal): Promise<number | null>;
  /** Returns the last event of the owner that was deleted after its retention, or null if none was. */
  lastExpired(owner: string, signal?: AbortSignal): Promise<ExpiredEvent | null>;
  /** Returns the position of the last event of all owners, 0 if there was none. */
  lastPosition(signal?: AbortSignal): Promise<number>;
  /** Whether an event of this key was ever written, by any owner, and even if it has expired. */
  isKeyUsed(key: string): Promise<boolean>;
  /** Returns the owners of up to `limit` events after the position, or null if there are no events. */
  newsAfter(position: number, limit: number, signal?: AbortSignal): Promise<News | null>;
}

type SentRow = EventRow & { readonly position: number };

export function createEventRepository(db: Database): EventRepository {
  const { joined, within, readSlice } = createSlices(db);
  return {
    listAfter: (owner, position, limit, signal, bytesMax = PAGE_BYTES_MAX) =>
      readSlice(
        db.fragment`SELECT * FROM events WHERE owner = ${owner} AND position > ${position}
            ORDER BY position LIMIT ${limit + 1}`,
        db.fragment`position`,
        limit,
        signal,
        bytesMax,
      ),
    async search(owner, { type = null, key = null }, position, limit, scanMax, signal) {
      const chosen = db.fragment`
        SELECT e.* FROM (
          SELECT at FROM next
          WHERE kind = coalesce(${type}::text, kind) AND of = coalesce(${key}::text, of) ORDER BY at LIMIT ${limit + 1}
        ) matching JOIN events e ON e.position = at`;
      // One statement, so that the scan and its matches are from the same snapshot.
      const rows = await db.query(
        (sql) => sql<(SentRow & SizedRow & { scanned: number; scannedTo: number | null })[]>`
          WITH next AS MATERIALIZED (
            SELECT position AS at, type AS kind, key AS of FROM events
            WHERE owner = ${owner} AND position > ${position} ORDER BY position LIMIT ${scanMax}
          )
          SELECT found.*, scanned, scanned_to
          FROM (SELECT count(*) AS scanned, max(at) AS scanned_to FROM next) n
          LEFT JOIN (${within(chosen, sql`position`)}) found ON true ORDER BY nth`,
        { signal },
      );
      const { scanned, scannedTo } = rows[0]!;
      const found = takePage(
        rows.filter((row) => row.position !== null),
        limit,
      );
      return { events: found.page.map(toSentEvent), hasMore: found.hasMore, scanned, scannedTo };
    },
    listOfKey: (owner, key, sequence, limit, signal) =>
      readSlice(
        db.fragment`SELECT * FROM events WHERE owner = ${owner} AND key = ${key} AND sequence > ${sequence}
            ORDER BY sequence LIMIT ${limit + 1}`,
        db.fragment`sequence`,
        limit,
        signal,
      ),
    async find(owner, key, sequence, signal) {
      const [row] = await db.query(
        (sql) =>
          sql<SentRow[]>`${joined(
            sql`SELECT * FROM events WHERE owner = ${owner} AND key = ${key} AND sequence = ${sequence}`,
          )}`,
        { signal },
      );
      return row ? toSentEvent(row) : null;
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
    lastExpired: (owner, signal) => lastExpired(db, owner, signal),
    async isKeyUsed(key) {
      const [row] = await db.query(
        (sql) => sql<[{ isUsed: boolean }]>`
          SELECT EXISTS (SELECT FROM outbox WHERE key = ${key}) OR EXISTS (SELECT FROM events WHERE key = ${key})
              OR EXISTS (SELECT FROM forgotten_keys WHERE key = ${key}) AS is_used`,
      );
      return row.isUsed;
    },
    async lastPosition(signal) {
      const [row] = await db.query(
        (sql) => sql<[{ last: number }]>`SELECT last_position AS last FROM relay`,
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

/** Reads chosen events, with their transfers joined by id. */
function createSlices(db: Database) {
  const columns = db.fragment`e.position, ${eventColumns(db.fragment)}`;
  const joined = (chosen: Fragment) =>
    db.fragment`SELECT ${columns} FROM (${chosen}) e LEFT JOIN transfers t ON t.id = e.transfer_id`;
  /** Those of the chosen events that fit into a slice, and one more. */
  const within = (chosen: Fragment, order: Fragment, bytesMax = PAGE_BYTES_MAX) =>
    rowsWithin(db.fragment, {
      source: joined(chosen),
      order,
      ...eventSize(db.fragment),
      bytesMax,
    });

  return {
    joined,
    within,
    /** `chosen` is limited to one event more than the slice may have. */
    async readSlice(
      chosen: Fragment,
      order: Fragment,
      limit: number,
      signal?: AbortSignal,
      bytesMax = PAGE_BYTES_MAX,
    ): Promise<EventSlice> {
      const rows = await db.query(
        (sql) => sql<(SentRow & SizedRow)[]>`${within(chosen, order, bytesMax)} ORDER BY nth`,
        { signal },
      );
      const { page, hasMore } = takePage(rows, limit, bytesMax);
      return { events: page.map(toSentEvent), hasMore };
    },
  };
}

function toSentEvent(row: SentRow): SentEvent {
  return { position: row.position, ...toEvent(row) };
}
