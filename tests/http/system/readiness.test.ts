import { afterAll, beforeAll, expect, test } from 'bun:test';
import { createApp } from '../../../src/app.ts';
import { openAccount } from '../../support/ledger-steps.ts';
import { callWithoutKey, START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';

let atlas: TestApp;
beforeAll(async () => {
  atlas = await startTestApp();
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

test('a process is not ready without any of the tables that payments need', async () => {
  const order = {
    debitAccountId: (await openAccount(atlas)).id,
    creditAccountId: (await openAccount(atlas)).id,
  };
  const body = JSON.stringify({ ...order, amount: 1 });
  const headers = {
    Host: 'atlas.test',
    Authorization: `Bearer ${await atlas.key()}`,
    'Content-Type': 'application/json',
  };
  /** Pays with a process that has just started, which remembers nothing. */
  const payAndRead = async () => {
    const app = createApp(atlas.deps);
    const init = { method: 'POST', headers: { ...headers, 'Idempotency-Key': crypto.randomUUID() }, body };
    const { status } = await app.fetch(new Request('http://atlas.test/v1/transfers', init));
    return { status, ready: (await callWithoutKey(app, 'GET', '/health/ready')).status };
  };
  const tables = await atlas.sql<{ name: string }[]>`
    SELECT tablename AS name FROM pg_tables WHERE schemaname = current_schema() ORDER BY 1`;
  const needed: Record<string, unknown> = {};
  for (const { name } of tables) {
    await atlas.sql.unsafe(`ALTER TABLE ${name} RENAME TO elsewhere`);
    const found = await payAndRead();
    if (found.status !== 201) needed[name] = found;
    await atlas.sql.unsafe(`ALTER TABLE elsewhere RENAME TO ${name}`);
  }
  expect(await payAndRead()).toEqual({ status: 201, ready: 200 });
  expect(Object.keys(needed)).toContain('accounts');
  for (const [name, found] of Object.entries(needed))
    expect({ name, found }).toEqual({ name, found: { status: 503, ready: 503 } });
});
