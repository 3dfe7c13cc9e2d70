import {
  type EventRow,
  eventColumns,
  eventSize,
  joinTransfers,
  toEvent,
} from '../../../adapters/event-log/event-rows.ts';
import type { Database, QueryOptions } from '../../../adapters/postgres/database.ts';
import type { Incarnation } from '../../../adapters/postgres/incarnation.ts';
import { rowsWithin, type SizedRow, takePage } from '../../../adapters/postgres/page-of-bytes.ts';
import { inTime } from '../../../adapters/postgres/postgres.ts';
import type { FragmentTag, Queryable } from '../../../adapters/postgres/query.ts';
import { orAbort } from '../../../utils/or-abort.ts';
import { type ClaimRow, type DeliveryRow, toClaim, toDelivery } from './delivery-rows.ts';
import {
  type Attempt,
  type AttemptResult,
  type Backlog,
  type Claim,
  type Delivery,
  type DeliveryOutcome,
  type DeliveryState,
  deliveriesOf,
  FAILING_DAYS_MAX,
  FAILING_SILENT_HOURS_MAX,
  LEASE_MS,
  type NewDelivery,
  type SinceScan,
  SLOTS_PER_OWNER,
  SLOTS_PER_WEBHOOK,
  type Target,
  type ToReplay,
} from './domain.ts';

/** Deliveries in PostgreSQL: a queue that several hosts work on. Due times and leases use its clock. */
export interface DeliveryRepository {
  /** Returns the enabled webhooks of the owners. */
  targetsOf(owners: readonly string[], tx: Queryable): Promise<readonly Target[]>;
  /** Inserts deliveries, except those of an event that the webhook already has. */
  insert(deliveries: readonly NewDelivery[], tx: Queryable): Promise<void>;
  /** Claims up to `free` due deliveries for this process's incarnation, so that no owner has more than `ownerMax` in flight. */
  claim(free: number, signal: AbortSignal, ownerMax?: number): Promise<Claim[]>;
  settle(claim: Claim, result: AttemptResult, outcome: DeliveryOutcome): Promise<{ disabled: boolean }>;
  /** Releases a claim whose attempt has no known result, or was not made. It is due again immediately, or after `waitMs`. */
  release(claim: Claim, waitMs?: number): Promise<void>;
  /** Makes deliveries due again whose process has died before it recorded their attempt. Returns how many. */
  freeLost(signal: AbortSignal): Promise<number>;
  backlog(signal: AbortSignal): Promise<Backlog>;
  /** Lists deliveries with ids below `beforeId`, newest first. */
  list(
    webhookId: string,
    state: DeliveryState | null,
    beforeId: string | null,
    limit: number,
    signal?: AbortSignal,
  ): Promise<{ deliveries: Delivery[]; nextId: string | null }>;
  find(
    webhookId: string,
    id: string,
    signal?: AbortSignal,
  ): Promise<{ delivery: Delivery; body: string; attempts: Attempt[] } | null>;
  /** Adds a delivery that counts `tries` of its round as used. */
  add(delivery: NewDelivery, tries: number, options?: QueryOptions): Promise<Delivery>;
  /** Starts a new round of attempts now. Returns null if there is no such delivery. */
  replay(webhookId: string, id: string, options?: QueryOptions): Promise<Delivery | null>;
  /** Reads up to `limit` events after the position, fewer if they are large, as deliveries to the webhook. */
  readToReplay(target: Target, after: number, limit: number, signal?: AbortSignal): Promise<ToReplay>;
  /** Delivers them, by default only what the webhook did not receive. Returns how many are sent. */
  replayEvents(
    deliveries: readonly NewDelivery[],
    includeDelivered: boolean,
    signal?: AbortSignal,
  ): Promise<number>;
  /** Looks for the owner's first event since the time, among the last `scanMax` events. */
  scanSince(owner: string, time: string, scanMax: number, signal?: AbortSignal): Promise<SinceScan>;
}

const SILENCE_MS = 15_000;
const INSERT_ROWS_MAX = 1000;
const BACKLOG_MAX = 100_000;
const ATTEMPTS_SHOWN_MAX = 50;

type Queue = 'targetsOf' | 'insert' | 'claim' | 'settle' | 'release' | 'freeLost' | 'backlog';
type Holder = Pick<Incarnation, 'hold' | 'canJudge'>;

export function createDeliveryRepository(db: Database, incarnation: Holder): DeliveryRepository {
  return { ...createQueue(db, incarnation), ...createHistory(db) };
}

function createQueue(db: Database, incarnation: Holder): Pick<DeliveryRepository, Queue> {
  return {
    targetsOf: (owners, tx) =>
      tx.query(
        (sql) => sql<Target[]>`
          SELECT id, owner, event_types, created_at FROM webhooks
          WHERE owner = ANY (${owners as string[]}::text[]) AND enabled`,
      ),
    async insert(deliveries, tx) {
      for (let i = 0; i < deliveries.length; i += INSERT_ROWS_MAX) {
        await tx.query(
          (sql) => sql`
            ${withBodies(sql, deliveries.slice(i, i + INSERT_ROWS_MAX))}
            INSERT INTO webhook_deliveries (id, webhook_id, event_id, event_type)
            SELECT id, webhook_id, event_id, event_type FROM new ON CONFLICT (webhook_id, event_id) DO NOTHING`,
        );
      }
    },
    async claim(free, signal, ownerMax = SLOTS_PER_OWNER) {
      const id = await orAbort(inTime(incarnation.hold(), SILENCE_MS), signal);
      const rows = db.query(
        (sql) => sql<ClaimRow[]>`SELECT * FROM claim_sealed_deliveries(
          ${free}, ${SLOTS_PER_WEBHOOK}, ${ownerMax}, ${LEASE_MS}, ${id})`,
      );
      return (await orAbort(inTime(rows, SILENCE_MS), signal)).map(toClaim);
    },
    async settle(claim, { status, failure, durationMs }, { state, waitMs, isGone }) {
      const rows = db.query(
        (sql) => sql<[{ disabled: boolean }]>`
        SELECT settle_webhook_delivery(${claim.id}, ${claim.webhookId}, ${claim.url}, ${claim.attempts}, ${claim.tries},
          ${state}, ${waitMs}, ${status}, ${failure}, ${durationMs}, ${isGone}, ${FAILING_DAYS_MAX},
          ${FAILING_SILENT_HOURS_MAX}) AS disabled`,
      );
      return (await inTime(rows, SILENCE_MS))[0];
    },
    async release({ id, attempts }, waitMs = 0) {
      const released = db.query(
        (sql) => sql`
        UPDATE webhook_deliveries SET leased_until = NULL,
          next_attempt_at = now() + ${waitMs} * interval '1 millisecond',
          -- A replay in the meantime has started to count again.
          tries = greatest(0, tries - 1)
        WHERE id = ${id} AND attempts = ${attempts} AND leased_until IS NOT NULL`,
      );
      await inTime(released, SILENCE_MS);
    },
    async freeLost(signal) {
      const free = async () => {
        const silentToo = await incarnation.canJudge();
        return db.query(
          (sql) => sql<[{ freed: number }]>`SELECT free_lost_deliveries(${silentToo}) AS freed`,
        );
      };
      return (await orAbort(inTime(free(), SILENCE_MS), signal))[0].freed;
    },
    async backlog(signal) {
      const [row] = await db.query(
        (sql) => sql<[Backlog]>`
          SELECT count(*) AS due_count, coalesce(extract(epoch FROM now() - min(next_attempt_at)), 0)::float8
              AS due_age_seconds,
            (SELECT count(*) FROM webhooks WHERE disabled_reason IS NOT NULL AND deleted_at IS NULL)
              AS disabled_webhooks
          FROM (SELECT d.next_attempt_at FROM webhooks w CROSS JOIN LATERAL (
                  -- Reads only what is due, however much waits for its next attempt or for its webhook.
                  SELECT next_attempt_at FROM webhook_deliveries
                  WHERE webhook_id = w.id AND state = 'pending' AND next_attempt_at <= now()
                  ORDER BY next_attempt_at LIMIT ${BACKLOG_MAX}) d
                WHERE w.enabled LIMIT ${BACKLOG_MAX}) due`,
        { signal },
      );
      return row;
    },
  };
}

function createHistory(db: Database): Omit<DeliveryRepository, Queue> {
  const columns = db.fragment`id, webhook_id, event_id, event_type, state, attempts AS attempt_count, next_attempt_at,
    coalesce(leased_until > now(), false) AS leased, created_at`;
  return {
    async list(webhookId, state, beforeId, limit, signal) {
      const rows = await db.query(
        (sql) => sql<DeliveryRow[]>`
          SELECT ${columns} FROM webhook_deliveries
          WHERE webhook_id = ${webhookId} ${state === null ? sql`` : sql`AND state = ${state}`}
            ${beforeId === null ? sql`` : sql`AND id < ${beforeId}`}
          ORDER BY id DESC LIMIT ${limit + 1}`,
        { signal },
      );
      const page = rows.slice(0, limit);
      return { deliveries: page.map(toDelivery), nextId: rows.length > limit ? page.at(-1)!.id : null };
    },
    async find(webhookId, id, signal) {
      const [row] = await db.query(
        (sql) => sql<(DeliveryRow & { body: string })[]>`
          SELECT ${columns}, coalesce(body, (
              SELECT b.body FROM webhook_bodies b JOIN webhooks w ON w.owner = b.owner
              WHERE w.id = d.webhook_id AND b.event_id = d.event_id)) AS body
          FROM webhook_deliveries d WHERE id = ${id} AND webhook_id = ${webhookId}`,
        { signal },
      );
      if (!row) return null;
      const { body, ...delivery } = row;
      const attempts = await db.query(
        (sql) => sql<(Omit<Attempt, 'startedAt'> & { startedAt: Date })[]>`
          SELECT number, started_at, duration_ms, status, failure FROM webhook_attempts
          WHERE delivery_id = ${id} ORDER BY number DESC LIMIT ${ATTEMPTS_SHOWN_MAX}`,
        { signal },
      );
      return {
        delivery: toDelivery(delivery),
        body,
        attempts: attempts.map((row) => ({ ...row, startedAt: row.startedAt.toISOString() })),
      };
    },
    async add(delivery, tries, options) {
      const [row] = await db.query(
        (sql) => sql<[DeliveryRow]>`
          ${withBodies(sql, [delivery])}
          INSERT INTO webhook_deliveries (id, webhook_id, event_id, event_type, tries)
          SELECT id, webhook_id, event_id, event_type, ${tries}::int FROM new RETURNING ${columns}`,
        options,
      );
      return toDelivery(row);
    },
    async replay(webhookId, id, options) {
      const [row] = await db.query(
        (sql) => sql<DeliveryRow[]>`
          UPDATE webhook_deliveries SET state = 'pending', tries = 0,
            -- An attempt that is running may finish.
            next_attempt_at = CASE WHEN leased_until > now() THEN next_attempt_at ELSE now() END
          WHERE id = ${id} AND webhook_id = ${webhookId} RETURNING ${columns}`,
        options,
      );
      return row ? toDelivery(row) : null;
    },
    async readToReplay(target, after, limit, signal) {
      const rows = await db.query(
        (sql) => sql<(EventRow & SizedRow & { position: number })[]>`
          ${rowsWithin(sql, {
            source: sql`
              SELECT e.position, ${eventColumns(sql)} FROM (
                SELECT * FROM events WHERE owner = ${target.owner} AND position > ${after}
                ORDER BY position LIMIT ${limit + 1}
              ) e ${joinTransfers(sql)}`,
            order: sql`position`,
            ...eventSize(sql),
          })} ORDER BY nth`,
        { signal },
      );
      const { page, hasMore } = takePage(rows, limit);
      return {
        deliveries: deliveriesOf(page.map(toEvent), [target]),
        nextPosition: hasMore ? page.at(-1)!.position : null,
      };
    },
    async replayEvents(deliveries, includeDelivered, signal) {
      const { count } = await db.query(
        (sql) => sql`
          ${withBodies(sql, deliveries)}
          INSERT INTO webhook_deliveries AS d (id, webhook_id, event_id, event_type)
          SELECT id, webhook_id, event_id, event_type FROM new ON CONFLICT (webhook_id, event_id) DO UPDATE
          SET state = 'pending', tries = 0, next_attempt_at = now()
          WHERE d.state = 'failed' OR (d.state = 'delivered' AND ${includeDelivered})`,
        { signal },
      );
      return count;
    },
    async scanSince(owner, time, scanMax, signal) {
      // From the newest event backwards by the owner's index: times are almost in the order of positions.
      const [row] = await db.query(
        (sql) => sql<[SinceScan]>`
          SELECT min(position) FILTER (WHERE occurred_at >= ${time}) AS first, coalesce(max(position), 0) AS last,
            count(*) AS scanned, count(*) FILTER (WHERE occurred_at >= ${time}) AS since
          FROM (SELECT position, occurred_at FROM events WHERE owner = ${owner}
                ORDER BY position DESC LIMIT ${scanMax + 1}) e`,
        { signal },
      );
      return row;
    },
  };
}

/**
 * Starts a statement that inserts deliveries, the rows of `new`. The body of each event is stored once for all of them,
 * and the first one stays: whatever is sent again is the same bytes.
 */
function withBodies(sql: FragmentTag, rows: readonly NewDelivery[]) {
  const bodies = [...new Map(rows.map((row) => [`${row.owner} ${row.eventId}`, row])).values()];
  return sql`
    WITH new AS (
      SELECT * FROM unnest(${rows.map((row) => row.id)}::uuid[], ${rows.map((row) => row.webhookId)}::uuid[],
        ${rows.map((row) => row.eventId)}::text[], ${rows.map((row) => row.eventType)}::text[])
        n(id, webhook_id, event_id, event_type)
    ), bodies AS (
      INSERT INTO webhook_bodies (owner, event_id, body)
      SELECT * FROM unnest(${bodies.map((row) => row.owner)}::text[], ${bodies.map((row) => row.eventId)}::text[],
        ${bodies.map((row) => row.body)}::text[]) b(owner, event_id, body)
      -- In one order, so that two writers cannot wait for each other.
      ORDER BY b.owner COLLATE "C", b.event_id COLLATE "C"
      ON CONFLICT (owner, event_id) DO UPDATE SET created_at = now()
      WHERE webhook_bodies.created_at < now() - interval '1 day'
    )`;
}
