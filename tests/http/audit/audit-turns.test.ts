import { afterAll, beforeAll, expect, test } from 'bun:test';
import { lockTable, lockWaiters } from '../../support/table-lock.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';

const CALLS = 20;
const AT_ONCE = 1;

let atlas: TestApp;
beforeAll(async () => {
  atlas = await startTestApp();
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

test('pages of the audit log are read one at a time, as each takes time that payments wait for', async () => {
  const greedy = await atlas.as('greedy');
  const lock = await lockTable(atlas.deps.databaseUrl, 'audit_entries');
  const calls = Array.from({ length: CALLS }, () => greedy.call('GET', '/v1/audit?limit=200&format=csv'));
  try {
    await lock.waiters(AT_ONCE);
    // Its queries are sent after all of those before it.
    expect((await atlas.call('GET', '/v1/webhooks')).status).toBe(200);
    expect(await lockWaiters(atlas.sql)).toBe(AT_ONCE);
  } finally {
    await lock.release();
  }
  const statuses = await Promise.all(calls.map(async (each) => (await each).status));
  expect(new Set(statuses)).toEqual(new Set([200]));
});
