import { afterAll, beforeAll, expect, test } from 'bun:test';
import { createFileRepository } from '../../../src/features/files/repository.ts';
import { freshDatabase } from '../../support/database.ts';
import { type FilesApp, startFilesApp } from '../../support/file-steps.ts';
import { START_TIMEOUT_MS } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';

const ACTOR = { kind: 'command', id: 'test' } as const;

// Statements that wait for a concurrent change of the same file.

let atlas: FilesApp;
beforeAll(async () => {
  await freshDatabase();
  atlas = await startFilesApp('directory');
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

/** Starts `work` while a transaction changes the row of a new upload to `state`, so that it waits for the lock. */
async function whileChangingTo<T>(
  state: 'stored' | 'deleting',
  work: (id: string) => Promise<T>,
): Promise<T> {
  const { sql } = atlas;
  const id = crypto.randomUUID();
  await sql`
    INSERT INTO files (id, owner, state, name, media_type, expires_at)
    VALUES (${id}, 'owner', 'uploading', 'a', 'text/plain', now() + interval '1 minute')`;
  const started = await sql.begin(async (tx) => {
    await tx`
      UPDATE files SET state = ${state}, expires_at = NULL, size_bytes = 1,
        sha256 = sha256('a'), chunks = sha256('a') WHERE id = ${id}`;
    const working = work(id);
    await until(
      async () =>
        (
          await sql`
            SELECT FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%files%'`
        ).length > 0,
    );
    return { working };
  });
  return started.working;
}

test('an upload is not abandoned if the response to its commit was lost', async () => {
  const repository = createFileRepository(atlas.deps.database, atlas.deps.incarnation);
  expect(await whileChangingTo('stored', (id) => repository.abandon(id, ACTOR))).toBe(false);
  expect(await whileChangingTo('deleting', (id) => repository.abandon(id, ACTOR))).toBe(true);
  expect(await repository.abandon(crypto.randomUUID(), ACTOR)).toBe(true);
});
