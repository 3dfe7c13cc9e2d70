import type { TestApp } from './test-app.ts';
import { until } from './until.ts';

/** Moves all events to the log, and takes the index of the search up to its end. */
export async function indexAll(atlas: Pick<TestApp, 'features' | 'sql' | 'loops'>): Promise<void> {
  await until(async () => {
    await moveOutbox(atlas);
    const { hasMore } = await atlas.features.ledger.indexing.step();
    const [{ waiting }] = await atlas.sql<[{ waiting: number }]>`SELECT count(*) AS waiting FROM outbox`;
    return hasMore === false && waiting === 0;
  });
}

/** What the relay does. */
async function moveOutbox({ sql }: Pick<TestApp, 'sql'>): Promise<void> {
  await sql`SELECT move_outbox((SELECT epoch FROM relay), 2000)`;
}
