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
  const names = tables.map(({ name }) => name);
  const payWithout = async (missing: readonly string[]) => {
    for (const name of missing) await atlas.sql.unsafe(`ALTER TABLE ${name} RENAME TO ${name}_elsewhere`);
    const found = await payAndRead();
    for (const name of missing) await atlas.sql.unsafe(`ALTER TABLE ${name}_elsewhere RENAME TO ${name}`);
    return found;
  };
  expect(await payWithout(names)).toEqual({ status: 503, ready: 503 });
  const checked = /Core tables are missing: ([\w, ]+)\./.exec(atlas.logs.join('\n'))![1]!.split(', ');
  expect(checked).toContain('accounts');
  // So payments need no table that readiness does not check.
  const others = names.filter((name) => !checked.includes(name));
  expect((await payWithout(others)).status).toBe(201);
  for (const name of checked) {
    const found = await payWithout([name]);
    expect({ name, ready: found.ready }).toEqual({ name, ready: 503 });
    // A process that has just started may need some of them only later.
    expect({ name, isExpected: [201, 503].includes(found.status) }).toEqual({ name, isExpected: true });
  }
  expect(await payAndRead()).toEqual({ status: 201, ready: 200 });
});
