import { beforeAll, expect, test } from 'bun:test';
import { freshDatabase } from '../../support/database.ts';
import { openAccount, postTransfer, readAccount } from '../../support/ledger-steps.ts';
import { lockTable, lockWaiters } from '../../support/table-lock.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';
import { expectProblem } from '../problem-assertions.ts';

beforeAll(() => freshDatabase(), START_TIMEOUT_MS);

async function withApp(
  settings: Record<string, string>,
  work: (atlas: TestApp) => Promise<void>,
): Promise<void> {
  const atlas = await startTestApp(settings);
  await work(atlas);
  await atlas.close();
}

test('at HTTP_TIMEOUT the caller gets 504, and the query is canceled in the database', () =>
  withApp({ HTTP_TIMEOUT: '0.2' }, async (atlas) => {
    const lock = await lockTable(atlas.deps.databaseUrl, 'accounts');
    await expectProblem(atlas, await atlas.call('GET', '/v1/accounts'), 504, 'deadline_exceeded');
    await until(async () => (await lockWaiters(atlas.sql)) === 0);
    await lock.release();
    expect((await atlas.call('GET', '/v1/accounts')).status).toBe(200);
  }));

test.each([
  ['x-envoy-expected-rq-timeout-ms', '100'],
  ['grpc-timeout', '100m'],
  ['grpc-timeout', '100000u'],
])('a caller can send its timeout as %s: %s', (name, value) =>
  withApp({}, async (atlas) => {
    const lock = await lockTable(atlas.deps.databaseUrl, 'accounts');
    const response = await atlas.call('GET', '/v1/accounts', { headers: { [name]: value } });
    await expectProblem(atlas, response, 504, 'deadline_exceeded');
    await lock.release();
  }),
);

test('a caller can shorten the deadline but not extend it', () =>
  withApp({ HTTP_TIMEOUT: '0.2' }, async (atlas) => {
    const lock = await lockTable(atlas.deps.databaseUrl, 'accounts');
    const headers = { 'x-envoy-expected-rq-timeout-ms': '60000', 'grpc-timeout': '60S' };
    await expectProblem(
      atlas,
      await atlas.call('GET', '/v1/accounts', { headers }),
      504,
      'deadline_exceeded',
    );
    await lock.release();
  }));

test.each(['0', '-5', 'soon', '1e1', '', '99999999999'])('the invalid timeout %p is ignored', (value) =>
  withApp({}, async (atlas) => {
    const lock = await lockTable(atlas.deps.databaseUrl, 'accounts');
    const headers = { 'x-envoy-expected-rq-timeout-ms': value, 'grpc-timeout': value };
    const response = atlas.call('GET', '/v1/accounts', { headers });
    await lock.waiters(1);
    await lock.release();
    expect((await response).status).toBe(200);
  }),
);

test('after a 504 the permit is held until the work ends, and the work takes effect', () =>
  withApp({ LOAD_SHEDDING_MAX_CONCURRENT: '1' }, async (atlas) => {
    const [from, to] = [await openAccount(atlas), await openAccount(atlas)];
    const order = { debitAccountId: from.id, creditAccountId: to.id, amount: 5 };
    const lock = await lockTable(atlas.deps.databaseUrl, 'accounts');
    const hurried = { 'x-envoy-expected-rq-timeout-ms': '200' };
    await expectProblem(atlas, await postTransfer(atlas, order, 'late', hurried), 504, 'deadline_exceeded');
    await expectProblem(atlas, await atlas.call('GET', '/v1/ping'), 429, 'overloaded');
    await lock.release();
    await until(async () => (await atlas.call('GET', '/v1/ping')).status !== 429);
    const again = await postTransfer(atlas, order, 'late');
    expect([again.status, again.headers.get('idempotency-replayed')]).toEqual([201, 'true']);
    expect(await readAccount(atlas, to.id)).toMatchObject({ balance: 5, version: 1 });
  }));

test('a transfer whose deadline passes before its batch starts has no effect', () =>
  withApp({}, async (atlas) => {
    const [from, to] = [await openAccount(atlas), await openAccount(atlas)];
    const order = { debitAccountId: from.id, creditAccountId: to.id, amount: 5 };
    const lock = await lockTable(atlas.deps.databaseUrl, 'accounts');
    const first = postTransfer(atlas, order, 'first');
    await lock.waiters(1);
    const hurried = { 'x-envoy-expected-rq-timeout-ms': '100' };
    await expectProblem(atlas, await postTransfer(atlas, order, 'second', hurried), 504, 'deadline_exceeded');
    await lock.release();
    expect((await first).status).toBe(201);
    expect(await readAccount(atlas, to.id)).toMatchObject({ balance: 5, version: 1 });
    const again = await postTransfer(atlas, order, 'second');
    expect([again.status, again.headers.get('idempotency-replayed')]).toEqual([201, null]);
  }));

test('a statement that exceeds DATABASE_TIMEOUT is a 504 too', () =>
  withApp({ DATABASE_TIMEOUT: '0.2' }, async (atlas) => {
    const lock = await lockTable(atlas.deps.databaseUrl, 'accounts');
    await expectProblem(atlas, await atlas.call('GET', '/v1/accounts'), 504, 'deadline_exceeded');
    const order = { debitAccountId: crypto.randomUUID(), creditAccountId: crypto.randomUUID(), amount: 5 };
    await expectProblem(atlas, await postTransfer(atlas, order, 'a'), 504, 'deadline_exceeded');
    await lock.release();
    await expectProblem(atlas, await postTransfer(atlas, order, 'a'), 422, 'unknown_account');
  }));
