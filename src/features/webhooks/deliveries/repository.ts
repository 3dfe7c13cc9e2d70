import {
  type EventRow,
  eventColumns,
  joinTransfers,
  toEvent,
} from '../../../adapters/event-log/event-rows.ts';
import type { Database } from '../../../adapters/postgres/database.ts';
import { inTime } from '../../../adapters/postgres/postgres.ts';
import type { FragmentTag, Queryable } from '../../../adapters/postgres/query.ts';
import type { AtlasEvent } from '../../../utils/event.ts';
import { orAbort } from '../../../utils/or-abort.ts';
import {
  type Attempt,
  type AttemptResult,
  type Backlog,
  type Claim,
  DELIVERY_DAYS,
  type Delivery,
  type DeliveryOutcome,
  type DeliveryState,
  deliveriesOf,
  FAILING_DAYS_MAX,
  FAILING_SILENT_HOURS_MAX,
  type NewDelivery,
  type Replayed,
  type Target,
  TRIES_MAX,
} from './domain.ts';

/** Deliveries in PostgreSQL: a queue that several hosts work on. Due times and leases are by its clock. */
export interface DeliveryRepository {
  /** Inserts the deliveries of events, in the transaction of their consumer. */
  fanOut(events: readonly AtlasEvent[], tx: Queryable): Promise<void>;
  /** Takes up to `free` due deliveries for this process. */
  claim(free: number, signal: AbortSignal): Promise<Claim[]>;
  settle(claim: Claim, result: AttemptResult, verdict: DeliveryOutcome): Promise<{ disabled: boolean }>;
  /** Gives back a claim whose attempt nobody knows the end of: it is due again at once. */
  release(claim: Claim): Promise<void>;
  backlog(signal: AbortSignal): Promise<Backlog>;
  /** Newest first, those with ids below `beforeId`. */
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
  /** Adds a delivery that is tried only once. */
  addTest(delivery: NewDelivery, signal?: AbortSignal): Promise<Delivery>;
  /** Begins a new round of attempts, now. Null when there is no such delivery. */
  replay(webhookId: string, id: string, signal?: AbortSignal): Promise<Delivery | null>;
  /**
   * Has up to `limit` events of the owner after the position delivered: those that the webhook wants and never got, or
   * that failed; with `includeDelivered` also those that it did get.
   */
  replayEvents(
    target: Target,
    after: number,
    limit: number,
    includeDelivered: boolean,
    signal?: AbortSignal,
  ): Promise<Replayed>;
  /** The position before the owner's first event since the time, among the last `lookMax`; null when that is older. */
  positionBefore(owner: string, time: string, lookMax: number, signal?: AbortSignal): Promise<number | null>;
  /** Deletes what is old or of deleted webhooks, in steps. */
  forget(): Promise<void>;
}

interface DeliveryRow extends Omit<Delivery, 'createdAt' | 'nextAttemptAt'> {
  readonly createdAt: Date;
  readonly nextAttemptAt: Date;
  readonly leased: boolean;
}
type ClaimRow = Omit<Claim, 'secrets'> & { secret: Uint8Array; oldSecret: Uint8Array | null };

const PLACES_PER_WEBHOOK = 8;
// Half of those of one host, so that nobody's slow targets hold up all others.
const PLACES_PER_OWNER = 32;
// Longer than an attempt and what it takes to write down its end.
const LEASE_MS = 60_000;
const SILENCE_MS = 15_000;
const INSERT_ROWS_MAX = 1000;
const BACKLOG_MAX = 100_000;
const ATTEMPTS_SHOWN_MAX = 50;
const FORGET_ROWS_MAX = 1000;

export function createDeliveryRepository(db: Database): DeliveryRepository {
  const columns = db.fragment`id, webhook_id, event_id, event_type, state, attempts AS attempt_count, next_attempt_at,
    coalesce(leased_until > now(), false) AS leased, created_at`;
  /** The rows to insert, as one parameter for each column. */
  const rowsOf = (sql: FragmentTag, rows: readonly NewDelivery[]) => sql`
    SELECT * FROM unnest(${rows.map((row) => row.id)}::uuid[], ${rows.map((row) => row.webhookId)}::uuid[],
      ${rows.map((row) => row.eventId)}::text[], ${rows.map((row) => row.eventType)}::text[],
      ${rows.map((row) => row.body)}::text[])`;

  return {
    async fanOut(events, tx) {
      const owners = [...new Set(events.map(({ owner }) => owner))];
      const targets = await tx.query(
        (sql) => sql<Target[]>`
        SELECT id, owner, event_types, created_at FROM webhooks WHERE owner = ANY (${owners}::text[]) AND enabled`,
      );
      const deliveries = deliveriesOf(events, targets);
      for (let i = 0; i < deliveries.length; i += INSERT_ROWS_MAX) {
        await tx.query(
          (sql) => sql`
          INSERT INTO webhook_deliveries (id, webhook_id, event_id, event_type, body)
          ${rowsOf(sql, deliveries.slice(i, i + INSERT_ROWS_MAX))} ON CONFLICT (webhook_id, event_id) DO NOTHING`,
        );
      }
    },
    async claim(free, signal) {
      const rows = db.query(
        (sql) => sql<ClaimRow[]>`
          SELECT * FROM claim_webhook_deliveries(${free}, ${PLACES_PER_WEBHOOK}, ${PLACES_PER_OWNER}, ${LEASE_MS})`,
      );
      return (await orAbort(inTime(rows, SILENCE_MS), signal)).map(({ secret, oldSecret, ...claim }) => ({
        ...claim,
        secrets: oldSecret === null ? [secret] : [secret, oldSecret],
      }));
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
    async release({ id, attempts }) {
      const released = db.query(
        (sql) => sql`
        UPDATE webhook_deliveries SET leased_until = NULL, next_attempt_at = now(),
          -- A replay that was asked for meanwhile has begun to count anew.
          tries = greatest(0, tries - 1)
        WHERE id = ${id} AND attempts = ${attempts} AND leased_until IS NOT NULL`,
      );
      await inTime(released, SILENCE_MS);
    },
    async backlog(signal) {
      const [row] = await db.query(
        (sql) => sql<[Backlog]>`
          SELECT count(*) AS due_count, coalesce(extract(epoch FROM now() - min(next_attempt_at)), 0)::float8
              AS due_age_seconds,
            (SELECT count(*) FROM webhooks WHERE disabled_reason IS NOT NULL AND deleted_at IS NULL)
              AS disabled_webhooks
          FROM (SELECT d.next_attempt_at FROM webhooks w CROSS JOIN LATERAL (
                  -- Reads nothing but what is due, however much waits for its next attempt or for its webhook.
                  SELECT next_attempt_at FROM webhook_deliveries
                  WHERE webhook_id = w.id AND state = 'pending' AND next_attempt_at <= now()
                  ORDER BY next_attempt_at LIMIT ${BACKLOG_MAX}) d
                WHERE w.enabled LIMIT ${BACKLOG_MAX}) due`,
        { signal },
      );
      return row;
    },
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
          SELECT ${columns}, body FROM webhook_deliveries WHERE id = ${id} AND webhook_id = ${webhookId}`,
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
    async addTest(delivery, signal) {
      const [row] = await db.query(
        (sql) => sql<[DeliveryRow]>`
          INSERT INTO webhook_deliveries (id, webhook_id, event_id, event_type, body, tries)
          SELECT new.*, ${TRIES_MAX - 1} FROM (${rowsOf(sql, [delivery])}) new RETURNING ${columns}`,
        { signal },
      );
      return toDelivery(row);
    },
    async replay(webhookId, id, signal) {
      const [row] = await db.query(
        (sql) => sql<DeliveryRow[]>`
          UPDATE webhook_deliveries SET state = 'pending', tries = 0,
            -- What is being sent right now is left to its end.
            next_attempt_at = CASE WHEN leased_until > now() THEN next_attempt_at ELSE now() END
          WHERE id = ${id} AND webhook_id = ${webhookId} RETURNING ${columns}`,
        { signal },
      );
      return row ? toDelivery(row) : null;
    },
    async replayEvents(target, after, limit, includeDelivered, signal) {
      const rows = await db.query(
        (sql) => sql<(EventRow & { position: number })[]>`
          SELECT e.position, ${eventColumns(sql)} FROM (
            SELECT * FROM events WHERE owner = ${target.owner} AND position > ${after}
            ORDER BY position LIMIT ${limit + 1}
          ) e ${joinTransfers(sql)} ORDER BY e.position`,
        { signal },
      );
      const page = rows.slice(0, limit);
      const deliveries = deliveriesOf(page.map(toEvent), [target]);
      const { count } = await db.query(
        (sql) => sql`
          INSERT INTO webhook_deliveries AS d (id, webhook_id, event_id, event_type, body)
          ${rowsOf(sql, deliveries)} ON CONFLICT (webhook_id, event_id) DO UPDATE
          SET state = 'pending', tries = 0, next_attempt_at = now()
          WHERE d.state = 'failed' OR (d.state = 'delivered' AND ${includeDelivered})`,
        { signal },
      );
      return { deliveries: count, nextPosition: rows.length > limit ? page.at(-1)!.position : null };
    },
    async positionBefore(owner, time, lookMax, signal) {
      // By the owner's index from the newest backwards: the times of events are nearly in the order of positions.
      const [row] = await db.query(
        (sql) => sql<[{ first: number | null; last: number; looked: number; since: number }]>`
          SELECT min(position) FILTER (WHERE occurred_at >= ${time}) AS first, coalesce(max(position), 0) AS last,
            count(*) AS looked, count(*) FILTER (WHERE occurred_at >= ${time}) AS since
          FROM (SELECT position, occurred_at FROM events WHERE owner = ${owner}
                ORDER BY position DESC LIMIT ${lookMax + 1}) e`,
        { signal },
      );
      if (row.looked > lookMax && row.since === row.looked) return null;
      return row.first === null ? row.last : row.first - 1;
    },
    async forget() {
      const old = db.fragment`
        SELECT id FROM webhook_deliveries WHERE created_at < now() - make_interval(days => ${DELIVERY_DAYS})`;
      // By the index of each: over a join the planner would rather read all deliveries there are.
      const ofDeleted = db.fragment`
        SELECT d.id FROM webhooks w CROSS JOIN LATERAL (
          SELECT id FROM webhook_deliveries WHERE webhook_id = w.id ORDER BY id LIMIT ${FORGET_ROWS_MAX}) d
        WHERE w.deleted_at IS NOT NULL`;
      for (const chosen of [old, ofDeleted]) {
        // In steps, so that no statement runs into its timeout; a step that is not full was the last.
        for (let count = FORGET_ROWS_MAX; count === FORGET_ROWS_MAX; ) {
          ({ count } = await db.query(
            (sql) => sql`
            DELETE FROM webhook_deliveries WHERE id = ANY (ARRAY(${chosen} LIMIT ${FORGET_ROWS_MAX}))`,
          ));
        }
      }
      await db.query(
        (sql) => sql`
        DELETE FROM webhooks w WHERE deleted_at < now() - interval '1 hour'
          AND (SELECT id FROM webhook_deliveries WHERE webhook_id = w.id ORDER BY id LIMIT 1) IS NULL`,
      );
    },
  };
}

function toDelivery({ leased, createdAt, nextAttemptAt, ...row }: DeliveryRow): Delivery {
  return {
    ...row,
    nextAttemptAt: row.state === 'pending' && !leased ? nextAttemptAt.toISOString() : null,
    createdAt: createdAt.toISOString(),
  };
}
