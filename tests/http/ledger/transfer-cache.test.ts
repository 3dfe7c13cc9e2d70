import { afterAll, beforeAll, beforeEach, describe, expect, spyOn, test } from 'bun:test';
import { switchIsolation } from '../../../src/adapters/postgres/switch-isolation.ts';
import type { ApiCaller } from '../../support/api-caller.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';

const ACTOR = { kind: 'command', id: 'test' } as const;
let atlas: TestApp;
const ids = { bank: '', shop: '' };

beforeAll(async () => {
  atlas = await startTestApp();
  for (const name of ['bank', 'shop'] as const) {
    const json = { ledger: 'EUR', name, allowNegative: true };
    const opened = await call('POST', '/v1/accounts', { json });
    ids[name] = ((await opened.json()) as { id: string }).id;
  }
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

/** Retries while the machine is so busy that Atlas sheds load, which other tests cover. */
function call(...args: Parameters<TestApp['call']>): Promise<Response> {
  return until(async () => {
    const response = await atlas.call(...args);
    return response.status !== 429 && response;
  });
}

let posted = 0;
let transferId = '';
const post = () =>
  call('POST', '/v1/transfers', {
    json: {
      id: transferId,
      debitAccountId: ids.bank,
      creditAccountId: ids.shop,
      amount: 5,
      reference: 'für dich',
      metadata: { b: '2', a: '1' },
    },
    headers: { 'Idempotency-Key': `cache-${posted++}` },
  });
const read = (path = `/v1/transfers/${transferId}`, headers = {}) => call('GET', path, { headers });

/** What a worker does every other second. */
const refresh = () =>
  atlas.jobs.find(({ name }) => name === 'read whether organizations are isolated')!.run();

beforeEach(async () => {
  transferId = Bun.randomUUIDv7();
  await refresh();
});

async function counted(outcome: string): Promise<number> {
  const text = await (await read('/metrics')).text();
  const line = new RegExp(
    `^atlas_cache_operations_total\\{cache="transfer.v4",outcome="${outcome}"\\} (\\d+)$`,
    'm',
  );
  return Number(line.exec(text)?.[1]);
}

describe('a posted transfer', () => {
  test('is read from the database once, and reads the same from the cache', async () => {
    await post();
    const [hits, misses] = [await counted('hit'), await counted('miss')];
    const fresh = await (await read()).text();
    const cached = await (await read()).text();
    expect(cached).toBe(fresh);
    expect(await counted('hit')).toBe(hits + 1);
    expect(await counted('miss')).toBe(misses + 1);
  });

  test('is read from the cache whatever the case of its ID', async () => {
    await post();
    await read();
    const hits = await counted('hit');
    const response = await read(`/v1/transfers/${transferId.toUpperCase()}`);
    expect(response.status).toBe(200);
    expect(await counted('hit')).toBe(hits + 1);
  });

  test('is not returned from the cache without the scope or without a key', async () => {
    await post();
    await read();
    const token = await atlas.key(['accounts:read']);
    expect((await read(undefined, { Authorization: `Bearer ${token}` })).status).toBe(403);
    expect((await read(undefined, { Authorization: 'Bearer nobody' })).status).toBe(401);
    expect((await read()).status).toBe(200);
  });

  test('is found as soon as it is posted, even after an earlier 404', async () => {
    expect((await read()).status).toBe(404);
    expect((await post()).status).toBe(201);
    expect((await read()).status).toBe(200);
  });

  test('is loaded once for concurrent requests', async () => {
    await post();
    const { stats } = atlas.caches.find(({ name }) => name === 'transfer.v4')!;
    const before = stats.loads;
    // Calls the service, because a busy machine would shed some of so many requests.
    const found = await Promise.all(
      Array.from({ length: 100 }, () => atlas.transfers.find('owner', transferId)),
    );
    expect(new Set(found.map(({ id }) => id))).toEqual(new Set([transferId]));
    expect(stats.loads).toBe(before + 1);
  });
});

describe('a cached transfer is not returned to', () => {
  const findStatus = (by: ApiCaller) =>
    until(async () => {
      const { status } = await by.call('GET', `/v1/transfers/${transferId}`);
      return status !== 429 && status;
    });

  test('its former owner once its accounts were moved', async () => {
    const acme = await atlas.as('acme');
    await post();
    await refresh();
    expect([await findStatus(atlas), await findStatus(atlas), await findStatus(acme)]).toEqual([
      200, 200, 404,
    ]);
    const { reassignment } = atlas.features.ledger;
    const moved = [ids.bank, ids.shop];
    await reassignment.run({ from: 'owner', ids: moved }, 'acme', ACTOR);
    await refresh();
    expect([await findStatus(atlas), await findStatus(acme)]).toEqual([404, 200]);
    await reassignment.run({ from: 'acme', ids: moved }, 'owner', ACTOR);
    await refresh();
    expect([await findStatus(atlas), await findStatus(acme)]).toEqual([200, 404]);
  });

  test('its former owner 5 s after they were moved, even if the worker could not read that', async () => {
    const owners = [await atlas.as('acme'), await atlas.as('umbrella')] as const;
    await post();
    const { reassignment } = atlas.features.ledger;
    const moved = [ids.bank, ids.shop];
    await reassignment.run({ from: 'owner', ids: moved }, 'acme', ACTOR);
    await refresh();
    expect([await findStatus(owners[0]), await findStatus(owners[0])]).toEqual([200, 200]);
    await reassignment.run({ from: 'acme', ids: moved }, 'umbrella', ACTOR);
    const realNow = performance.now.bind(performance);
    const clock = spyOn(performance, 'now').mockImplementation(() => realNow() + 4500);
    const found = [await findStatus(owners[0]), await findStatus(owners[1])];
    clock.mockRestore();
    expect(found).toEqual([404, 200]);
    await reassignment.run({ from: 'umbrella', ids: moved }, 'owner', ACTOR);
    await refresh();
  });

  test('others who have read it while isolation was off, once it is on', async () => {
    const acme = await atlas.as('acme');
    const turn = (isOn: boolean) => switchIsolation(atlas.deps.database, isOn, ACTOR, 'operators');
    await post();
    // By a worker that does not know it yet, then by one that does.
    await turn(false);
    expect(await findStatus(acme)).toBe(200);
    await refresh();
    expect(await findStatus(acme)).toBe(200);
    await turn(true);
    await refresh();
    expect([await findStatus(acme), await findStatus(atlas)]).toEqual([404, 200]);
  });
});

test('a balance is never read from a cache', async () => {
  const balance = async () =>
    ((await (await read(`/v1/accounts/${ids.shop}`)).json()) as { balance: number }).balance;
  const before = await balance();
  await post();
  expect(await balance()).toBe(before + 5);
});
