import type { Database } from '../../../adapters/postgres/database.ts';
import type { Fragment } from '../../../adapters/postgres/query.ts';

const FORGET_ROWS_MAX = 1000;

/** Deletes deliveries after their retention. */
export interface RetentionRepository {
  /** Deletes old deliveries, those of deleted webhooks, and the bodies that no delivery needs any more, in steps. */
  forget(): Promise<void>;
}

/** `deletedAt` is exact: a Date would lose the microseconds. */
interface DeletedWebhook {
  readonly id: string;
  readonly deletedAt: string;
}

/** `days` is the retention of deliveries, in any state. */
export function createRetentionRepository(db: Database, days: number): RetentionRepository {
  return { forget: () => forgetDeliveries(db, days) };
}

async function forgetDeliveries(db: Database, days: number): Promise<void> {
  const old = db.fragment`
    SELECT id FROM webhook_deliveries WHERE created_at < now() - make_interval(days => ${days})`;
  await inSteps(db, old);
  await forgetDeleted(db);
  await forgetBodies(db, days);
}

/** Deletes the chosen deliveries in steps, so that no statement reaches its timeout. The last step is not full. */
async function inSteps(db: Database, chosen: Fragment): Promise<void> {
  for (let count = FORGET_ROWS_MAX; count === FORGET_ROWS_MAX; ) {
    ({ count } = await db.query(
      (sql) => sql`
      DELETE FROM webhook_deliveries WHERE id = ANY (ARRAY(${chosen} LIMIT ${FORGET_ROWS_MAX}))`,
    ));
  }
}

/** Deletes the deliveries of deleted webhooks, and the webhooks once nobody can be adding any, page by page. */
async function forgetDeleted(db: Database): Promise<void> {
  for (let after: DeletedWebhook | null = null; ; ) {
    const last: DeletedWebhook | null = after;
    const page: readonly DeletedWebhook[] = await db.query(
      (sql) => sql<DeletedWebhook[]>`
        SELECT id, deleted_at::text AS deleted_at FROM webhooks WHERE deleted_at IS NOT NULL
          ${last === null ? sql`` : sql`AND (deleted_at, id) > (${last.deletedAt}::timestamptz, ${last.id})`}
        ORDER BY deleted_at, id LIMIT ${FORGET_ROWS_MAX}`,
    );
    const ids = page.map(({ id }) => id);
    // One index scan per webhook: for a join the planner would prefer to scan all deliveries.
    await inSteps(
      db,
      db.fragment`
        SELECT d.id FROM unnest(${ids}::uuid[]) w(id) CROSS JOIN LATERAL (
          SELECT id FROM webhook_deliveries WHERE webhook_id = w.id ORDER BY id LIMIT ${FORGET_ROWS_MAX}) d`,
    );
    await db.query(
      (sql) => sql`
      DELETE FROM webhooks w WHERE id = ANY (${ids}::uuid[]) AND deleted_at < now() - interval '1 hour'
        AND (SELECT id FROM webhook_deliveries WHERE webhook_id = w.id ORDER BY id LIMIT 1) IS NULL`,
    );
    if (page.length < FORGET_ROWS_MAX) return;
    after = page.at(-1)!;
  }
}

/** Deletes the bodies that no delivery needs. They are renewed within a day, so they are kept for a day longer. */
async function forgetBodies(db: Database, days: number): Promise<void> {
  for (let count = FORGET_ROWS_MAX; count === FORGET_ROWS_MAX; ) {
    ({ count } = await db.query(
      (sql) => sql`
      DELETE FROM webhook_bodies
      -- This condition on the row itself is checked again after a wait for a replay that renews it.
      WHERE created_at < now() - make_interval(days => ${days + 1}) AND (owner, event_id) IN (
        SELECT owner, event_id FROM webhook_bodies b
        WHERE created_at < now() - make_interval(days => ${days + 1})
          -- One probe per webhook of the owner: for a join the planner would prefer to scan all deliveries.
          AND (SELECT d.id FROM webhooks w CROSS JOIN LATERAL (
            SELECT id FROM webhook_deliveries WHERE webhook_id = w.id AND event_id = b.event_id LIMIT 1) d
          WHERE w.owner = b.owner AND w.deleted_at IS NULL LIMIT 1) IS NULL
        ORDER BY created_at LIMIT ${FORGET_ROWS_MAX})`,
    ));
  }
}
