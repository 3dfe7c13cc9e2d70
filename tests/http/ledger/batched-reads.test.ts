import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { newKey, openAccount } from '../../support/ledger-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';

const READERS = 20;
let atlas: TestApp;

beforeAll(async () => {
  atlas = await startTestApp();
  // Afterwards the key is in the cache, and the code is compiled: reads of a turn that takes long are sent before its end.
  for (let i = 0; i < 5; i++) await readTogether(Array(READERS).fill(`/v1/accounts/${crypto.randomUUID()}`));
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

interface Read {
  readonly status: number;
  readonly body: { readonly id?: string };
}

/** Reads all paths at once. Returns the responses, and how many queries they took. */
async function readTogether(paths: readonly string[]): Promise<{ reads: Read[]; queries: number }> {
  const before = queriesSoFar();
  const responses = await Promise.all(paths.map((path) => atlas.call('GET', path)));
  const queries = queriesSoFar() - before;
  const reads = responses.map(async (response) => ({
    status: response.status,
    body: (await response.json()) as Read['body'],
  }));
  return { reads: await Promise.all(reads), queries };
}

const queriesSoFar = () => atlas.deps.database.stats.buckets.reduce((sum, count) => sum + count, 0);

async function openAccounts(count: number): Promise<string[]> {
  const ids: string[] = [];
  while (ids.length < count) ids.push((await openAccount(atlas)).id);
  return ids;
}

describe('concurrent requests with ids', () => {
  test('for accounts take one query, whether the accounts exist or not', async () => {
    const ids = await openAccounts(READERS);
    const unknown = crypto.randomUUID();
    const paths = [...ids, unknown, ids[0]!].map((id) => `/v1/accounts/${id}`);
    // Reads of a turn that takes long are sent before its end: on a busy machine, some rounds take more.
    const queries = new Set<number>();
    let reads: Read[] = [];
    for (let i = 0; i < 20 && !queries.has(1); i++) {
      const round = await readTogether(paths);
      queries.add(round.queries);
      reads = round.reads;
    }
    expect([...queries]).toContain(1);
    expect(reads.slice(0, READERS).map(({ status, body }) => [status, body.id])).toEqual(
      ids.map((id) => [200, id]),
    );
    expect(reads[READERS]).toMatchObject({ status: 404, body: { type: '/problems/account_not_found' } });
    expect(reads[READERS + 1]!.body).toEqual(reads[0]!.body);
  });

  test('for transfers take one query, and none once the transfers are cached', async () => {
    const [debitAccountId, creditAccountId] = await openAccounts(2);
    const json = {
      transfers: Array.from({ length: READERS }, () => ({ debitAccountId, creditAccountId, amount: 1 })),
    };
    const posted = await atlas.call('POST', '/v1/transfers/batch', {
      json,
      headers: { 'Idempotency-Key': newKey() },
    });
    const { results } = (await posted.json()) as { results: { id: string }[] };
    const paths = results.map(({ id }) => `/v1/transfers/${id}`);
    // As a worker does every other second: it reads nothing from the cache unless it knows what may be seen.
    await atlas.jobs.find(({ name }) => name === 'read whether organizations are isolated')!.run();
    const first = await readTogether(paths);
    expect(first.queries).toBe(1);
    expect(first.reads.map(({ status, body }) => [status, body.id])).toEqual(
      results.map(({ id }) => [200, id]),
    );
    expect(await readTogether(paths)).toEqual({ reads: first.reads, queries: 0 });
  });

  test('for files take one query, and show no files of others', async () => {
    const upload = async (token?: string) => {
      const headers = { 'Content-Type': 'text/plain', ...(token && { Authorization: `Bearer ${token}` }) };
      const response = await atlas.call('POST', '/v1/files', { body: 'text', headers });
      expect(response.status).toBe(201);
      return ((await response.json()) as { id: string }).id;
    };
    const ids = [await upload(), await upload(), await upload(await atlas.key(undefined, 'somebody else'))];
    const { reads, queries } = await readTogether(ids.map((id) => `/v1/files/${id}`));
    expect(queries).toBe(1);
    expect(reads.map(({ status }) => status)).toEqual([200, 200, 404]);
  });
});
