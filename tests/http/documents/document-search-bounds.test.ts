import { afterAll, beforeAll, expect, test } from 'bun:test';
import { createDocument, registerKind, searchAll } from '../../support/document-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';
import { expectProblem } from '../problem-assertions.ts';

let atlas: TestApp;
beforeAll(async () => {
  atlas = await startTestApp();
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

const search = (kind: string, contains: object) =>
  atlas.call('POST', '/v1/documents/search', { json: { kind, contains } });

/** When each of the searches that wait for a lock has started. */
async function waitingSearches(): Promise<string[]> {
  const rows = await atlas.sql<{ at: string }[]>`
    SELECT query_start::text AS at FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%find_documents%' ORDER BY 1`;
  return rows.map(({ at }) => at);
}

/** Does something while nobody can read documents. */
const whileLocked = (work: () => Promise<void>) =>
  atlas.sql.begin(async (tx) => {
    await tx`LOCK TABLE documents IN ACCESS EXCLUSIVE MODE`;
    await work();
  });

test('what an index takes too long to find is found without it', async () => {
  const kind = await registerKind(atlas);
  const { accountId } = await createDocument(atlas, kind, { country: 'DE' });
  await createDocument(atlas, kind, { country: 'FR' });
  let found: Promise<string[][]> | undefined;
  await whileLocked(async () => {
    found = searchAll(atlas, kind, { country: 'DE' });
    await until(async () => (await waitingSearches()).length === 1);
    const [first] = await waitingSearches();
    await until(async () => (await waitingSearches()).some((at) => at !== first));
  });
  expect(await found).toEqual([[accountId]]);
});

test('a search that takes too long without an index, too, is a 504 that says what to do', async () => {
  const kind = await registerKind(atlas);
  await createDocument(atlas, kind, { country: 'DE' });
  await whileLocked(async () => {
    const response = await search(kind, { country: 'DE' });
    const { detail } = await expectProblem(atlas, response, 504, 'deadline_exceeded');
    expect(detail).toBe('The search took too long. Look for fewer values.');
  });
});

test('however many of an owner search at once, one search runs', async () => {
  const kind = await registerKind(atlas);
  await createDocument(atlas, kind, { country: 'DE' });
  const asked = 12;
  let responses: Promise<Response[]> | undefined;
  await whileLocked(async () => {
    responses = Promise.all(Array.from({ length: asked }, () => search(kind, { country: 'DE' })));
    await until(async () => (await waitingSearches()).length >= 1);
    const first = await waitingSearches();
    // The next one has started when this is over.
    await until(async () => {
      const waiting = await waitingSearches();
      expect(waiting.length).toBeLessThanOrEqual(1);
      return waiting.length === 1 && waiting.every((at) => !first.includes(at));
    });
  });
  expect((await responses!).map(({ status }) => status)).toEqual(Array(asked).fill(200));
});
