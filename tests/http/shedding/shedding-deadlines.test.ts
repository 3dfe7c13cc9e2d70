import { beforeAll, expect, test } from 'bun:test';
import { freshDatabase } from '../../support/database.ts';
import { newKey, openAccount, postTransfer, readAccount } from '../../support/ledger-steps.ts';
import { lockTable } from '../../support/table-lock.ts';
import { callWithoutKey, START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { expectProblem } from '../problem-assertions.ts';

beforeAll(() => freshDatabase(), START_TIMEOUT_MS);

const SLOW_MS = 100;

/** Makes the only response of a route so far a slow one, which sets its median time. */
async function respondSlowly(atlas: TestApp, send: () => Promise<Response>): Promise<void> {
  const lock = await lockTable(atlas.deps.databaseUrl, 'accounts');
  const startMs = performance.now();
  const slow = send();
  do await lock.waiters(1);
  while (performance.now() - startMs < SLOW_MS);
  await lock.release();
  expect((await slow).ok).toBe(true);
}

async function withApp(work: (atlas: TestApp) => Promise<void>): Promise<void> {
  const atlas = await startTestApp();
  await work(atlas);
  await atlas.close();
}

test.each([
  ['x-envoy-expected-rq-timeout-ms', '20'],
  ['grpc-timeout', '20m'],
])('a request with less time than the median response time is refused: %s: %s', (name, value) =>
  withApp(async (atlas) => {
    await respondSlowly(atlas, () => atlas.call('GET', '/v1/accounts'));
    const refused = await atlas.call('GET', '/v1/accounts', { headers: { [name]: value } });
    const problem = await expectProblem(atlas, refused, 504, 'deadline_too_short');
    expect(problem.detail).toContain('Nothing was done');
    expect(refused.headers.get('ratelimit')).toBeNull();
    // Callers that wait long enough and other routes are not refused.
    const patient = await atlas.call('GET', '/v1/accounts', { headers: { [name]: '60000000' } });
    expect(patient.status).toBe(200);
    expect((await atlas.call('GET', '/v1/ping', { headers: { [name]: value } })).status).toBe(200);
    const text = await (await callWithoutKey(atlas, 'GET', '/metrics')).text();
    expect(text).toContain(
      'atlas_shedding_decisions_total{tier="default",decision="refused",reason="deadline"} 1\n',
    );
  }),
);

test('a transfer refused for its deadline has no effect, and its key stays unused', () =>
  withApp(async (atlas) => {
    const [from, to] = [await openAccount(atlas), await openAccount(atlas)];
    const order = { debitAccountId: from.id, creditAccountId: to.id, amount: 5 };
    await respondSlowly(atlas, () => postTransfer(atlas, order));
    const key = newKey();
    const refused = await postTransfer(atlas, order, key, { 'x-envoy-expected-rq-timeout-ms': '20' });
    await expectProblem(atlas, refused, 504, 'deadline_too_short');
    expect(await readAccount(atlas, to.id)).toMatchObject({ balance: 5, version: 1 });
    const again = await postTransfer(atlas, order, key);
    expect([again.status, again.headers.get('idempotency-replayed')]).toEqual([201, null]);
    expect(await readAccount(atlas, to.id)).toMatchObject({ balance: 10, version: 2 });
  }));
