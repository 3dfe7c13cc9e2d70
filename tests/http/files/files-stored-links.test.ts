import { afterAll, beforeAll, expect, test } from 'bun:test';
import { STORED_LINKS_MAX } from '../../../src/features/files/links.ts';
import { freshDatabase } from '../../support/database.ts';
import { type FilesApp, gzipLike, startFilesApp, uploadFile } from '../../support/file-steps.ts';
import { START_TIMEOUT_MS } from '../../support/test-app.ts';
import { expectProblem } from '../problem-assertions.ts';

let atlas: FilesApp;
beforeAll(async () => {
  await freshDatabase();
  atlas = await startFilesApp('directory');
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

test(
  'an organization has a number of links stored for retries, and more links without',
  async () => {
    const { id } = await uploadFile(atlas, gzipLike(100));
    const link = (key?: string) =>
      atlas.call('POST', `/v1/files/${id}/link`, {
        headers: key === undefined ? {} : { 'Idempotency-Key': key },
      });
    const first = await link('key-0');
    expect(first.status).toBe(200);
    for (let i = 1; i < STORED_LINKS_MAX; i++) await link(`key-${i}`);
    await expectProblem(atlas, await link('one-more'), 429, 'overloaded');
    const replay = await link('key-0');
    expect([replay.status, await replay.json()]).toEqual([200, await first.json()]);
    expect((await link()).status).toBe(200);
    const [row] = await atlas.sql<
      [{ stored: number }]
    >`SELECT count(*)::int AS stored FROM idempotent_responses`;
    expect(row.stored).toBe(STORED_LINKS_MAX);
  },
  START_TIMEOUT_MS,
);
