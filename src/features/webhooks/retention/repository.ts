import type { Database } from '../../../adapters/postgres/database.ts';

const FORGET_ROWS_MAX = 1000;

/** Deletes deliveries after their retention. */
export interface RetentionRepository {
  /** Deletes old deliveries, those of deleted webhooks, and the bodies that no delivery needs any more, in steps. */
  forget(): Promise<void>;
}

/** `days` is the retention of deliveries, in any state. */
export function createRetentionRepository(db: Database, days: number): RetentionRepository {
  return { forget: () => forgetDeliveries(db, days) };
}

async function forgetDeliveries(db: Database, days: number): Promise<void> {
  const old = db.fragment`
    SELECT id FROM webhook_deliveries WHERE created_at < now() - make_interval(days => ${days})`;
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
  await forgetBodies(db, days);
  await db.query(
    (sql) => sql`
    DELETE FROM webhooks w WHERE deleted_at < now() - interval '1 hour'
      AND (SELECT id FROM webhook_deliveries WHERE webhook_id = w.id ORDER BY id LIMIT 1) IS NULL`,
  );
}

/** Deletes the bodies that no delivery needs. They are renewed within a day, so they are kept for a day longer. */
async function forgetBodies(db: Database, days: number): Promise<void> {
  for (let count = FORGET_ROWS_MAX; count === FORGET_ROWS_MAX; ) {
    ({ count } = await db.query(
      (sql) => sql`
      DELETE FROM webhook_bodies WHERE (owner, event_id) IN (
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
