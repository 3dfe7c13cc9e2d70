import {
  type EventRow,
  eventColumns,
  eventSize,
  joinTransfers,
  toEvent,
} from '../../../adapters/event-log/event-rows.ts';
import type { Database } from '../../../adapters/postgres/database.ts';
import { rowsWithin, type SizedRow, takePage } from '../../../adapters/postgres/page-of-bytes.ts';
import { inTime } from '../../../adapters/postgres/postgres.ts';
import type { FragmentTag, Queryable } from '../../../adapters/postgres/query.ts';
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
  LEASE_MS,
  type NewDelivery,
  nextAttemptOf,
  type Replayed,
  type SinceScan,
  SLOTS_PER_OWNER,
  SLOTS_PER_WEBHOOK,
  signingSecrets,
  type Target,
} from './domain.ts';

/** Deliveries in PostgreSQL: a queue that several hosts work on. Due times and leases use its clock. */
export interface DeliveryRepository {
  /** Returns the enabled webhooks of the owners. */
  targetsOf(owners: readonly string[], tx: Queryable): Promise<readonly Target[]>;
  /** Inserts deliveries, except those of an event that the webhook already has. */
  insert(deliveries: readonly NewDelivery[], tx: Queryable): Promise<void>;
  /** Claims up to `free` due deliveries for this process, so that no owner has more than `ownerMax` in flight. */
  claim(free: number, signal: AbortSignal, ownerMax?: number): Promise<Claim[]>;
  settle(claim: Claim, result: AttemptResult, outcome: DeliveryOutcome): Promise<{ disabled: boolean }>;
  /** Releases a claim whose attempt has no known result. It is due again immediately. */
  release(claim: Claim): Promise<void>;
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
  add(delivery: NewDelivery, tries: number, signal?: AbortSignal): Promise<Delivery>;
  /** Starts a new round of attempts now. Returns null if there is no such delivery. */
  replay(webhookId: string, id: string, signal?: AbortSignal): Promise<Delivery | null>;
  /**
   * Delivers up to `limit` events of the owner after the position, or fewer if they are large: those that the webhook
   * subscribes to and never received, and with `includeDelivered` also those that it has received.
   */
  replayEvents(
    target: Target,
    after: number,
    limit: number,
    includeDelivered: boolean,
    signal?: AbortSignal,
  ): Promise<Replayed>;
  /** Looks for the owner's first event since the time, among the last `scanMax` events. */
  scanSince(owner: string, time: string, scanMax: number, signal?: AbortSignal): Promise<SinceScan>;
  /** Deletes old deliveries, and those of deleted webhooks, in steps. */
  forget(): Promise<void>;
}

interface DeliveryRow extends Omit<Delivery, 'createdAt' | 'nextAttemptAt'> {
  readonly createdAt: Date;
  readonly nextAttemptAt: Date;
  readonly leased: boolean;
}
type ClaimRow = Omit<Claim, 'secrets'> & { secret: Uint8Array; oldSecret: Uint8Array | null };

const SILENCE_MS = 15_000;
const INSERT_ROWS_MAX = 1000;
const BACKLOG_MAX = 100_000;
const ATTEMPTS_SHOWN_MAX = 50;
const FORGET_ROWS_MAX = 1000;

/** What the workers call. */
type Queue = 'targetsOf' | 'insert' | 'claim' | 'settle' | 'release' | 'backlog' | 'forget';

export function createDeliveryRepository(db: Database): DeliveryRepository {
  return { ...createQueue(db), ...createHistory(db) };
}

function createQueue(db: Database): Pick<DeliveryRepository, Queue> {
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
            INSERT INTO webhook_deliveries (id, webhook_id, event_id, event_type, body)
            ${rowsOf(sql, deliveries.slice(i, i + INSERT_ROWS_MAX))} ON CONFLICT (webhook_id, event_id) DO NOTHING`,
        );
      }
    },
    async claim(free, signal, ownerMax = SLOTS_PER_OWNER) {
      const rows = db.query(
        (sql) => sql<ClaimRow[]>`
          SELECT * FROM claim_webhook_deliveries(${free}, ${SLOTS_PER_WEBHOOK}, ${ownerMax}, ${LEASE_MS})`,
      );
      return (await orAbort(inTime(rows, SILENCE_MS), signal)).map(({ secret, oldSecret, ...claim }) => ({
        ...claim,
        secrets: signingSecrets(secret, oldSecret),
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
          -- A replay in the meantime has started to count again.
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
                  -- Reads only what is due, however much waits for its next attempt or for its webhook.
                  SELECT next_attempt_at FROM webhook_deliveries
                  WHERE webhook_id = w.id AND state = 'pending' AND next_attempt_at <= now()
                  ORDER BY next_attempt_at LIMIT ${BACKLOG_MAX}) d
                WHERE w.enabled LIMIT ${BACKLOG_MAX}) due`,
        { signal },
      );
      return row;
    },
    async forget() {
      const old = db.fragment`
        SELECT id FROM webhook_deliveries WHERE created_at < now() - make_interval(days => ${DELIVERY_DAYS})`;
      // One index scan per webhook: for a join the planner would prefer to scan all deliveries.
      const ofDeleted = db.fragment`
        SELECT d.id FROM webhooks w CROSS JOIN LATERAL (
          SELECT id FROM webhook_deliveries WHERE webhook_id = w.id ORDER BY id LIMIT ${FORGET_ROWS_MAX}) d
        WHERE w.deleted_at IS NOT NULL`;
      for (const chosen of [old, ofDeleted]) {
        // In steps, so that no statement reaches its timeout. A step that is not full is the last one.
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
    async add(delivery, tries, signal) {
      const [row] = await db.query(
        (sql) => sql<[DeliveryRow]>`
          INSERT INTO webhook_deliveries (id, webhook_id, event_id, event_type, body, tries)
          SELECT new.*, ${tries}::int FROM (${rowsOf(sql, [delivery])}) new RETURNING ${columns}`,
        { signal },
      );
      return toDelivery(row);
    },
    async replay(webhookId, id, signal) {
      const [row] = await db.query(
        (sql) => sql<DeliveryRow[]>`
          UPDATE webhook_deliveries SET state = 'pending', tries = 0,
            -- An attempt that is running may finish.
            next_attempt_at = CASE WHEN leased_until > now() THEN next_attempt_at ELSE now() END
          WHERE id = ${id} AND webhook_id = ${webhookId} RETURNING ${columns}`,
        { signal },
      );
      return row ? toDelivery(row) : null;
    },
    async replayEvents(target, after, limit, includeDelivered, signal) {
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
      const deliveries = deliveriesOf(page.map(toEvent), [target]);
      const { count } = await db.query(
        (sql) => sql`
          INSERT INTO webhook_deliveries AS d (id, webhook_id, event_id, event_type, body)
          ${rowsOf(sql, deliveries)} ON CONFLICT (webhook_id, event_id) DO UPDATE
          SET state = 'pending', tries = 0, next_attempt_at = now()
          WHERE d.state = 'failed' OR (d.state = 'delivered' AND ${includeDelivered})`,
        { signal },
      );
      return { deliveries: count, nextPosition: hasMore ? page.at(-1)!.position : null };
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

/** The rows to insert, as one parameter per column. */
const rowsOf = (sql: FragmentTag, rows: readonly NewDelivery[]) => sql`
    SELECT * FROM unnest(${rows.map((row) => row.id)}::uuid[], ${rows.map((row) => row.webhookId)}::uuid[],
      ${rows.map((row) => row.eventId)}::text[], ${rows.map((row) => row.eventType)}::text[],
      ${rows.map((row) => row.body)}::text[])`;

function toDelivery({ leased, createdAt, nextAttemptAt, ...row }: DeliveryRow): Delivery {
  return {
    ...row,
    nextAttemptAt: nextAttemptOf(row.state, leased, nextAttemptAt),
    createdAt: createdAt.toISOString(),
  };
}
