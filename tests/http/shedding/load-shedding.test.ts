import { beforeAll, expect, test } from 'bun:test';
import { freshDatabase } from '../../support/database.ts';
import { newKey, openAccount, postBatch, readAccount } from '../../support/ledger-steps.ts';
import { lockTable, type TableLock } from '../../support/table-lock.ts';
import { callWithoutKey, START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { expectProblem } from '../problem-assertions.ts';

beforeAll(() => freshDatabase(), START_TIMEOUT_MS);

const ORIGIN = 'https://app.example.com';

/** Starts an app with this many permits and locks its table of accounts until the lock is released. */
async function withLock(
  permits: number,
  work: (atlas: TestApp, lock: TableLock) => Promise<void>,
): Promise<void> {
  const atlas = await startTestApp({
    LOAD_SHEDDING_MAX_CONCURRENT: String(permits),
    CORS_ALLOWED_ORIGINS: ORIGIN,
  });
  expect((await atlas.call('GET', '/v1/ping')).status).toBe(200);
  const lock = await lockTable(atlas.deps.databaseUrl, 'accounts');
  await work(atlas, lock);
  await atlas.close();
}

const metric = async (atlas: TestApp, name: string) =>
  (await (await callWithoutKey(atlas, 'GET', '/metrics')).text())
    .split('\n')
    .filter((line) => line.startsWith(name))
    .map((line) => Number(line.split(' ').at(-1)));

test('when all permits are in use, the next request gets 429 with Retry-After', () =>
  withLock(2, async (atlas, lock) => {
    const running = [atlas.call('GET', '/v1/accounts'), atlas.call('GET', '/v1/accounts')];
    await lock.waiters(2);
    const refused = await atlas.call('GET', '/v1/ping');
    const seconds = Number(refused.headers.get('retry-after'));
    expect(seconds).toBeWithin(1, 4);
    expect(refused.headers.get('ratelimit')).toBe(`"shed";r=0;t=${seconds}`);
    expect(refused.headers.get('ratelimit-policy')).toBe('"shed";q=2');
    const { detail } = await expectProblem(atlas, refused, 429, 'overloaded');
    expect(detail).toBe(
      'Too many requests are in flight. Nothing was done; wait for Retry-After, then retry.',
    );
    await lock.release();
    expect((await Promise.all(running)).map(({ status }) => status)).toEqual([200, 200]);
    expect((await atlas.call('GET', '/v1/ping')).status).toBe(200);
  }));

test('refused requests get different Retry-After values', () =>
  withLock(1, async (atlas, lock) => {
    const running = atlas.call('GET', '/v1/accounts');
    await lock.waiters(1);
    const seconds = new Set<string>();
    for (let i = 0; i < 100; i++)
      seconds.add((await atlas.call('GET', '/v1/ping')).headers.get('retry-after')!);
    expect([...seconds].toSorted()).toEqual(['1', '2', '3']);
    await lock.release();
    await running;
  }));

test('a refusal precedes all work: no key is verified, no body read, no route matched', () =>
  withLock(1, async (atlas, lock) => {
    const running = atlas.call('GET', '/v1/accounts');
    await lock.waiters(1);
    const neverRead = new ReadableStream(
      {
        pull: () => Promise.reject(new Error('the body of a refused request was read')),
      },
      { highWaterMark: 0 },
    );
    const refused = [
      await callWithoutKey(atlas, 'GET', '/v1/ping'),
      await atlas.call('POST', '/v1/transfers', { body: neverRead }),
      await atlas.call('GET', '/nothing'),
    ];
    for (const response of refused) await expectProblem(atlas, response, 429, 'overloaded');
    await lock.release();
    await running;
  }));

const NEVER_SHED = ['/health', '/health/deep', '/health/ready', '/health/live', '/metrics'];

test('health and metrics respond while everything else is refused', () =>
  withLock(1, async (atlas, lock) => {
    const running = atlas.call('GET', '/v1/accounts');
    await lock.waiters(1);
    for (const path of NEVER_SHED) {
      expect({ path, status: (await callWithoutKey(atlas, 'GET', path)).status }).toEqual({
        path,
        status: 200,
      });
    }
    await lock.release();
    await running;
  }));

test('everything else is refused, above all what needs no key: documents, assets, pages, links, preflights', () =>
  withLock(1, async (atlas, lock) => {
    const running = atlas.call('GET', '/v1/accounts');
    await lock.waiters(1);
    const pathOf = (pattern: string) =>
      pattern.replace('{name}', 'redoc.js').replaceAll(/\{\w+\}/g, crypto.randomUUID());
    const routes = atlas.routes.filter(({ pattern }) => !NEVER_SHED.includes(pattern));
    const requests = [
      ...routes.map(({ method, pattern }) => [method, pathOf(pattern), {}] as const),
      ...['/docs', '/redoc', '/openapi.json', '/asyncapi.json', '/docs/assets/swagger-ui.js'].map(
        (path) => ['HEAD', path, { 'Accept-Encoding': 'gzip' }] as const,
      ),
      ['GET', '/nowhere', {}],
      ['TRACE', '/v1/ping', {}],
      ['OPTIONS', '/v1/transfers', { Origin: ORIGIN, 'Access-Control-Request-Method': 'POST' }],
      ['GET', '/v1/ping', { Host: 'a/b' }],
    ] as const;
    for (const [method, path, headers] of requests) {
      const response = await callWithoutKey(atlas, method, path, headers);
      expect({ method, path, status: response.status }).toEqual({ method, path, status: 429 });
    }
    await lock.release();
    await running;
  }));

test('a preflight is refused as late as the most important request of a page', () =>
  withLock(50, async (atlas, lock) => {
    const running = Array.from({ length: 49 }, () => atlas.call('GET', '/v1/accounts'));
    await lock.waiters(1);
    const headers = { Origin: ORIGIN, 'Access-Control-Request-Method': 'POST' };
    const preflight = await callWithoutKey(atlas, 'OPTIONS', '/v1/transfers', headers);
    expect(preflight.status).toBe(204);
    expect((await atlas.call('GET', '/v1/ping')).status).toBe(429);
    await lock.release();
    await Promise.all(running);
  }));

test('a permit is released however a request ends', () =>
  withLock(1, async (atlas, lock) => {
    await lock.release();
    const { id } = await openAccount(atlas);
    const json = { debitAccountId: id, creditAccountId: id, amount: 1 };
    await callWithoutKey(atlas, 'GET', '/v1/ping');
    await atlas.call('GET', '/nothing');
    await atlas.call('POST', '/v1/transfers', { json });
    await atlas.call('POST', '/v1/transfers', { json, headers: { 'Idempotency-Key': newKey() } });
    await atlas.call('POST', '/v1/transfers', {
      body: new Uint8Array(2_000_000),
      headers: { 'Idempotency-Key': newKey() },
    });
    await atlas.sql`ALTER TABLE accounts RENAME COLUMN ledger TO elsewhere`;
    await atlas.call('GET', '/v1/accounts');
    expect((await atlas.call('GET', '/v1/ping')).status).toBe(200);
    expect(await metric(atlas, 'atlas_shedding_in_flight ')).toEqual([0]);
    const decisions = await metric(atlas, 'atlas_shedding_decisions_total{');
    expect(decisions.filter((count) => count > 0).length).toBe(2);
  }));

test('when too many transfers wait, the next batch is refused before it reaches the ledger', () =>
  withLock(100, async (atlas, lock) => {
    await lock.release();
    const [from, to] = [await openAccount(atlas), await openAccount(atlas)];
    const held = await lockTable(atlas.deps.databaseUrl, 'accounts');
    const item = { debitAccountId: from.id, creditAccountId: to.id, amount: 1 };
    const batch = { transfers: Array.from({ length: 1000 }, () => item) };
    const first = postBatch(atlas, batch);
    await held.waiters(1);
    const waiting = Array.from({ length: 4 }, () => postBatch(atlas, batch));
    const refused = await postBatch(atlas, batch);
    expect(refused.headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
    await expectProblem(atlas, refused, 429, 'queue_full');
    await held.release();
    expect((await Promise.all([first, ...waiting])).map(({ status }) => status)).toEqual([
      200, 200, 200, 200, 200,
    ]);
    expect(await readAccount(atlas, to.id)).toMatchObject({ balance: 5000, version: 5000 });
  }));
