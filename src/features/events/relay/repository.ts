import {
  type EventRow,
  eventColumns,
  joinTransfers,
  toEvent,
} from '../../../adapters/event-log/event-rows.ts';
import type { Database } from '../../../adapters/postgres/database.ts';
import type { Backlog, ConsumerPosition, ParkedKey, Poison, RelayStatus, Unsent } from './domain.ts';
import { type OutboxRow, toUnsent } from './outbox-rows.ts';

/** The result of a mark. */
export interface Marked {
  readonly lastPosition: number;
  readonly sent: number;
}

/** The outbox, the log and the relay's lease in PostgreSQL. Times are by its clock. */
export interface RelayRepository {
  /** Takes the lease if it has expired. Returns the new epoch, or null. */
  take(holder: string, leaseMs: number): Promise<number | null>;
  /** Renews the lease. Returns false if another process is the relay now. */
  renew(epoch: number, leaseMs: number): Promise<boolean>;
  /** Ends the lease now, so that a successor does not have to wait. */
  giveUp(epoch: number): Promise<void>;
  /**
   * Reads the first rows of the outbox, except the given ones, as events in order, in one snapshot. The content of the
   * events is included on request.
   */
  read(rowsMax: number, withEvents: boolean, exceptRowIds?: readonly number[]): Promise<Unsent[]>;
  /**
   * Moves rows of the outbox to the log, with the next positions. Rows of keys that are parked, or have poison here,
   * move to the parked events. One statement. Returns null, and does nothing, if the epoch is not the newest.
   */
  mark(epoch: number, rowIds: readonly number[], poison: readonly Poison[]): Promise<Marked | null>;
  /** Returns parked keys that an operator wants to retry. */
  keysToRetry(keysMax: number): Promise<string[]>;
  readParked(key: string, eventsMax: number): Promise<Unsent[]>;
  /**
   * Moves parked events of a key up to a sequence to the log (null: none), and unparks the key if none is left, or
   * parks it again if it has poison. Returns null, and does nothing, if the epoch is not the newest.
   */
  markParked(epoch: number, key: string, upTo: number | null, poison: Poison | null): Promise<Marked | null>;
  backlog(): Promise<Backlog>;
  status(signal?: AbortSignal): Promise<RelayStatus>;
  listParked(keysMax: number, signal?: AbortSignal): Promise<ParkedKey[]>;
  /** Requests a retry of one key, or of all. Returns how many. */
  retry(key: string | null): Promise<number>;
}

type ParkedMethods = 'keysToRetry' | 'readParked' | 'markParked' | 'listParked' | 'retry';

export function createRelayRepository(db: Database): RelayRepository {
  return { ...createOutbox(db), ...createParkedEvents(db) };
}

function createOutbox(db: Database): Omit<RelayRepository, ParkedMethods> {
  const lease = (ms: number) => db.fragment`clock_timestamp() + ${ms} * interval '1 millisecond'`;

  return {
    async take(holder, leaseMs) {
      const [row] = await db.query(
        (sql) => sql<{ epoch: number }[]>`
        UPDATE relay SET epoch = epoch + 1, holder = ${holder}, expires_at = ${lease(leaseMs)}
        WHERE expires_at < clock_timestamp()
           -- A lease that ends this late was taken before the clock was set back.
           OR expires_at > ${lease(2 * leaseMs)} RETURNING epoch`,
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
      const dataColumns = withEvents
        ? db.fragment`, o.owner, o.type, o.occurred_at, o.data, t.ledger, t.amount, t.reference, t.metadata,
            t.created_at, d.owner AS debit_owner, c.owner AS credit_owner`
        : db.fragment``;
      const dataJoins = withEvents
        ? db.fragment`LEFT JOIN LATERAL (SELECT * FROM transfers WHERE id = o.transfer_id LIMIT 1) t ON true
            LEFT JOIN LATERAL (SELECT owner FROM accounts WHERE id = o.debit_account_id LIMIT 1) d ON true
            LEFT JOIN LATERAL (SELECT owner FROM accounts WHERE id = o.credit_account_id LIMIT 1) c ON true`
        : db.fragment``;
      // One index probe per row: for a few hundred rows the planner would prefer to scan whole tables.
      const rows = await db.query(
        (sql) => sql<OutboxRow[]>`
        SELECT o.id, o.transfer_id, o.debit_account_id, o.debit_version, o.credit_account_id, o.credit_version,
               o.key, o.sequence ${dataColumns},
               (SELECT max(e.sequence) FROM events e WHERE e.key = o.debit_key) AS debit_last,
               (SELECT max(e.sequence) FROM events e WHERE e.key = o.credit_account_id::text) AS credit_last,
               EXISTS (SELECT FROM parked_keys p WHERE p.key = o.debit_key) AS is_debit_parked,
               EXISTS (SELECT FROM parked_keys p WHERE p.key = o.credit_account_id::text) AS is_credit_parked
          FROM (SELECT *, coalesce(debit_account_id::text, key) AS debit_key
                  FROM (SELECT * FROM outbox ORDER BY id LIMIT ${rowsMax + exceptRowIds.length}) first
                 WHERE id NOT IN (SELECT unnest(${`{${exceptRowIds.join(',')}}`}::bigint[]))
                 ORDER BY id LIMIT ${rowsMax}) o
          ${dataJoins} ORDER BY o.id`,
      );
      return rows.flatMap((row) => toUnsent(row, withEvents));
    },
    async mark(epoch, rowIds, poison) {
      const ids = `{${rowIds.join(',')}}`;
      const [row] = await db.query(
        (sql) => sql<Marked[]>`
        WITH poison AS (
          SELECT * FROM unnest(${poison.map((p) => p.key)}::text[], ${poison.map((p) => p.sequence)}::bigint[],
            ${poison.map((p) => p.reason)}::text[]) p(key, sequence, reason)
        ), batch AS MATERIALIZED (
          SELECT * FROM outbox WHERE id = ANY (${ids}::bigint[])
        ), sides AS MATERIALIZED (
          -- A row without its transfer or account has no owner, which fails the statement: nothing is skipped.
          SELECT b.id, 1 AS side, a.owner, 'account.debited.v1' AS type, b.debit_account_id::text AS key,
                 b.debit_version AS sequence, t.created_at AS occurred_at, b.transfer_id, NULL::jsonb AS data
            FROM batch b
            LEFT JOIN LATERAL (SELECT created_at FROM transfers WHERE id = b.transfer_id LIMIT 1) t ON true
            LEFT JOIN LATERAL (SELECT owner FROM accounts WHERE id = b.debit_account_id LIMIT 1) a ON true
           WHERE b.transfer_id IS NOT NULL
          UNION ALL
          SELECT b.id, 2, a.owner, 'account.credited.v1', b.credit_account_id::text, b.credit_version, t.created_at,
                 b.transfer_id, NULL
            FROM batch b
            LEFT JOIN LATERAL (SELECT created_at FROM transfers WHERE id = b.transfer_id LIMIT 1) t ON true
            LEFT JOIN LATERAL (SELECT owner FROM accounts WHERE id = b.credit_account_id LIMIT 1) a ON true
           WHERE b.transfer_id IS NOT NULL
          UNION ALL
          SELECT id, 1, owner, type, key, sequence, occurred_at, NULL, data FROM batch WHERE transfer_id IS NULL
        ), classified AS MATERIALIZED (
          SELECT s.*, EXISTS (SELECT FROM parked_keys k WHERE k.key = s.key)
                   OR EXISTS (SELECT FROM poison p WHERE p.key = s.key AND s.sequence >= p.sequence) AS is_parked
            FROM sides s
        ), lease AS (
          UPDATE relay SET last_position = last_position + (SELECT count(*) FROM classified WHERE NOT is_parked)
           WHERE epoch = ${epoch} RETURNING last_position
        ), first AS (
          SELECT last_position - (SELECT count(*) FROM classified WHERE NOT is_parked) AS before FROM lease
        ), stopped AS (
          INSERT INTO parked_keys (key, reason) SELECT key, reason FROM poison, lease
        ), parked AS (
          INSERT INTO parked_events (key, sequence, owner, type, occurred_at, transfer_id, data)
          SELECT key, sequence, owner, type, occurred_at, transfer_id, data FROM classified, lease WHERE is_parked
        ), sent AS (
          INSERT INTO events (position, owner, type, key, sequence, occurred_at, transfer_id, data)
          SELECT before + row_number() OVER (ORDER BY id, side), owner, type, key, sequence, occurred_at,
                 transfer_id, data
            FROM classified, first WHERE NOT is_parked
        ), gone AS (
          DELETE FROM outbox USING lease WHERE id = ANY (${ids}::bigint[])
        )
        SELECT last_position, (SELECT count(*) FROM classified WHERE NOT is_parked) AS sent FROM lease`,
      );
      return row ?? null;
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
        (sql) => sql<[Omit<RelayStatus, 'consumers'> & { consumers: ConsumerPosition[] }]>`
          SELECT (SELECT count(*) FROM outbox) AS unsent,
                 (SELECT extract(epoch FROM clock_timestamp() - coalesce(o.occurred_at, t.created_at))::float8
                    FROM outbox o LEFT JOIN transfers t ON t.id = o.transfer_id
                   ORDER BY o.id LIMIT 1) AS oldest_age_seconds,
                 CASE WHEN expires_at > clock_timestamp() THEN holder END AS holder, epoch, last_position,
                 (SELECT count(*) FROM parked_keys) AS parked_keys,
                 (SELECT count(*) FROM parked_events) AS parked_events,
                 coalesce((SELECT json_agg(json_build_object('consumer', consumer, 'partition', partition,
                   'position', position) ORDER BY consumer, partition) FROM consumer_offsets), '[]') AS consumers
            FROM relay`,
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
        (sql) => sql<(EventRow & { lastSent: number | null })[]>`
        SELECT ${eventColumns(sql)}, (SELECT max(sequence) FROM events WHERE key = ${key}) AS last_sent
          FROM parked_events e ${joinTransfers(sql)}
         WHERE e.key = ${key} ORDER BY e.sequence, e.no LIMIT ${eventsMax}`,
      );
      return rows.map((row) => ({
        rowId: 0,
        key,
        sequence: row.sequence,
        lastSent: row.lastSent,
        isParked: false,
        event: toEvent(row),
      }));
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
    async listParked(keysMax, signal) {
      const rows = await db.query(
        (sql) => sql<(Omit<ParkedKey, 'parkedAt'> & { parkedAt: Date })[]>`
          SELECT key, reason, parked_at, retry,
                 (SELECT count(*) FROM parked_events e WHERE e.key = k.key) AS waiting
            FROM parked_keys k ORDER BY parked_at LIMIT ${keysMax}`,
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
