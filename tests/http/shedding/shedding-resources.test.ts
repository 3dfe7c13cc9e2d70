import { beforeAll, expect, test } from 'bun:test';
import { freshDatabase } from '../../support/database.ts';
import { lockTable } from '../../support/table-lock.ts';
import { callWithoutKey, START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';
import { expectProblem } from '../problem-assertions.ts';

beforeAll(() => freshDatabase(), START_TIMEOUT_MS);

const QUEUE = 40;
const REFUSAL_MS_MAX = 5;

async function engaged(atlas: TestApp, resource: string): Promise<number> {
  const text = await (await callWithoutKey(atlas, 'GET', '/metrics')).text();
  const start = `atlas_shedding_resource_engaged{resource="${resource}"} `;
  return Number(
    text
      .split('\n')
      .find((line) => line.startsWith(start))!
      .slice(start.length),
  );
}

test('a hanging database soon gets no more requests, and routes that do not need it are served', async () => {
  const atlas = await startTestApp();
  for (let i = 0; i < 10; i++) expect((await atlas.call('GET', '/v1/accounts')).status).toBe(200);
  const lock = await lockTable(atlas.deps.databaseUrl, 'accounts');
  const waiting = Array.from({ length: QUEUE }, () => atlas.call('GET', '/v1/accounts'));
  await lock.waiters(1);
  const refused = await until(async () => {
    const next = atlas.call('GET', '/v1/accounts');
    // A refusal is immediate; a request that is still pending after this waits for the database.
    const first = await Promise.race([next, Bun.sleep(REFUSAL_MS_MAX).then(() => null)]);
    if (first === null) waiting.push(next);
    // Needs no database, and permits are left, so it must not be affected.
    expect((await atlas.call('GET', '/v1/ping')).status).toBe(200);
    return first;
  });
  const problem = await expectProblem(atlas, refused, 429, 'overloaded');
  expect(problem.detail).toContain('busy');
  expect(Number(refused.headers.get('retry-after'))).toBeWithin(1, 4);
  expect([await engaged(atlas, 'database'), await engaged(atlas, 'ledger')]).toEqual([1, 0]);
  // Transfers have a separate queue: this one is admitted, and rejected as invalid.
  expect((await atlas.call('POST', '/v1/transfers', { json: {} })).status).toBe(400);

  await lock.release();
  expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual(Array(waiting.length).fill(200));
  await until(async () => (await atlas.call('GET', '/v1/accounts')).status === 200);
  await atlas.close();
});
