import { afterAll, beforeAll, expect, test } from 'bun:test';
import type { ApiCaller } from '../../support/api-caller.ts';
import { lockTable } from '../../support/table-lock.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';

// More than the app has connections.
const SLOW_CALLS = 20;

let atlas: TestApp;
let greedy: ApiCaller;
beforeAll(async () => {
  atlas = await startTestApp();
  greedy = await atlas.as('greedy');
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

test('slow queries of one owner leave connections to PostgreSQL to everybody else', async () => {
  const lock = await lockTable(atlas.deps.databaseUrl, 'webhooks');
  const slow = Array.from({ length: SLOW_CALLS }, () => greedy.call('GET', '/v1/webhooks'));
  try {
    const { database } = atlas.deps;
    await until(() => database.calls.waiting > 0);
    await lock.waiters(2);
    const { status } = await atlas.call('GET', '/v1/audit');
    expect(status).toBe(200);
    expect(database.dependency.stats().waiting).toBe(0);
  } finally {
    await lock.release();
  }
  const statuses = await Promise.all(slow.map(async (each) => (await each).status));
  expect(statuses).toEqual(Array.from(statuses, () => 200));
  expect(atlas.deps.database.calls.waiting).toBe(0);
});
