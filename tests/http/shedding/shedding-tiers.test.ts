import { beforeAll, expect, test } from 'bun:test';
import { freshDatabase } from '../../support/database.ts';
import { newKey } from '../../support/ledger-steps.ts';
import { lockTable } from '../../support/table-lock.ts';
import { callWithoutKey, START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';
import { expectProblem } from '../problem-assertions.ts';

beforeAll(() => freshDatabase(), START_TIMEOUT_MS);

const PERMITS = 50;

/** Starts an app with 50 permits, `count` of them used by default-tier requests that wait for a table. */
async function withInFlight(
  count: number,
  work: (atlas: TestApp, running: Promise<Response>[]) => Promise<void>,
): Promise<void> {
  const atlas = await startTestApp({ LOAD_SHEDDING_MAX_CONCURRENT: String(PERMITS) });
  expect((await atlas.call('GET', '/v1/ping')).status).toBe(200);
  const lock = await lockTable(atlas.deps.databaseUrl, 'accounts');
  const running = Array.from({ length: count }, () => atlas.call('GET', '/v1/accounts'));
  await lock.waiters(1);
  await work(atlas, running);
  await lock.release();
  const statuses = (await Promise.all(running)).map(({ status }) => status);
  expect(statuses.slice(0, count)).toEqual(Array(count).fill(200));
  await atlas.close();
}

/** Sends a critical request that needs no database: its missing Idempotency-Key is rejected after admission. */
const critical = (atlas: TestApp, headers: Record<string, string> = {}) =>
  atlas.call('POST', '/v1/transfers', { json: {}, headers });
const nonCritical = (atlas: TestApp) => atlas.call('GET', '/v1/ledger/verification');

async function decisions(atlas: TestApp, tier: string, reason: string): Promise<number> {
  const decision = reason === '' ? 'admitted' : 'refused';
  const start = `atlas_shedding_decisions_total{tier="${tier}",decision="${decision}",reason="${reason}"} `;
  const text = await (await callWithoutKey(atlas, 'GET', '/metrics')).text();
  const line = text.split('\n').find((candidate) => candidate.startsWith(start));
  return Number(line!.slice(start.length));
}

test('when permits run out, tiers are refused in order: non-critical first, critical last', async () => {
  await withInFlight(PERMITS - 2, async (atlas) => {
    const problem = await expectProblem(atlas, await nonCritical(atlas), 429, 'overloaded');
    expect(problem.detail).toContain('in flight');
    expect((await atlas.call('GET', '/v1/ping')).status).toBe(200);
    expect((await critical(atlas)).status).toBe(400);
  });
  await withInFlight(PERMITS - 1, async (atlas) => {
    const problem = await expectProblem(atlas, await atlas.call('GET', '/v1/ping'), 429, 'overloaded');
    expect(problem.detail).toContain('in flight');
    expect((await critical(atlas)).status).toBe(400);
  });
  await withInFlight(PERMITS - 1, async (atlas, running) => {
    const json = { debitAccountId: crypto.randomUUID(), creditAccountId: crypto.randomUUID(), amount: 1 };
    const headers = { 'Idempotency-Key': newKey() };
    running.push(atlas.call('POST', '/v1/transfers', { json, headers }));
    await expectProblem(atlas, await critical(atlas), 429, 'overloaded');
  });
});

test('a low priority is refused before others, and a high one gains nothing', () =>
  withInFlight(PERMITS - 1, async (atlas) => {
    const urgent = await atlas.call('GET', '/v1/ping', { headers: { Priority: 'u=0' } });
    expect(urgent.status).toBe(429);
    // Priority counts once permits have run short; limits are updated every 50 ms.
    const lowered = await until(async () => {
      const response = await critical(atlas, { Priority: 'u=7' });
      if (response.status === 429) return response;
      await atlas.call('GET', '/v1/ping');
      return null;
    });
    await expectProblem(atlas, lowered, 429, 'overloaded');
    expect((await critical(atlas)).status).toBe(400);
    expect((await critical(atlas, { Priority: 'u=3' })).status).toBe(400);
    expect((await atlas.call('GET', '/v1/ping', { headers: { Priority: 'u=0' } })).status).toBe(429);
  }));

test('metrics count decisions by the tier of the route and by the reason', () =>
  withInFlight(PERMITS - 1, async (atlas) => {
    for (let i = 0; i < 3; i++) await atlas.call('GET', '/v1/ping');
    await critical(atlas);
    expect(await decisions(atlas, 'default', 'permits')).toBe(3);
    expect(await decisions(atlas, 'default', '')).toBe(PERMITS);
    expect(await decisions(atlas, 'critical', '')).toBe(1);
    expect(await decisions(atlas, 'critical', 'permits')).toBe(0);
    expect(await decisions(atlas, 'default', 'deadline')).toBe(0);
  }));
