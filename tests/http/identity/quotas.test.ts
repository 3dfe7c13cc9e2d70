import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { isolate } from '../../support/key-steps.ts';
import { openAccount } from '../../support/ledger-steps.ts';
import { lockTable } from '../../support/table-lock.ts';
import { callWithoutKey, START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';
import { expectProblem } from '../problem-assertions.ts';

// A burst that no test waits for: it decides how many requests are served, however slow the machine is.
const SLOW = { requestsPerSecond: 1, burst: 0, concurrentRequests: null };
const NOT_LIMITED = { requestsPerSecond: null, burst: 0, concurrentRequests: null };

let atlas: TestApp;
beforeAll(async () => {
  atlas = await startTestApp();
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

const idOf = (token: string) => token.split('_')[2]!;
const ping = (token: string, app = atlas) =>
  app.call('GET', '/v1/ping', { headers: { Authorization: `Bearer ${token}` } });
const setQuota = (kind: string, id: string, body: object) =>
  atlas.call('PUT', `/v1/operator/quotas/${kind}/${encodeURIComponent(id)}`, { json: body });

/** Sends requests until one is refused, and returns it. */
async function untilRefused(token: string, app = atlas): Promise<Response> {
  for (let i = 0; i < 100; i++) {
    const response = await ping(token, app);
    if (response.status !== 200) return response;
  }
  throw new Error('Nothing was refused.');
}

describe('a request beyond a quota', () => {
  test('gets 429 quota_exceeded, apart from overload, with the policy and when to retry', async () => {
    const token = await atlas.key();
    await setQuota('key', idOf(token), SLOW);
    const response = await untilRefused(token);
    expect(response.headers.get('ratelimit-policy')).toBe('"key-requests";q=1;w=1');
    expect(response.headers.get('ratelimit')).toBe('"key-requests";r=0;t=1');
    expect(response.headers.get('retry-after')).toBe('1');
    const { detail } = await expectProblem(atlas, response, 429, 'quota_exceeded');
    expect(detail).toBe(
      'This API key has a quota of 1 request per second. Nothing was done; wait for Retry-After, then retry.',
    );
    const counted = atlas.registry.getSingleMetric('atlas_quota_refusals_total')!;
    const { values } = await counted.get();
    const ofKeys = values.find(({ labels }) => labels.subject === 'key' && labels.exceeded === 'requests');
    expect(ofKeys!.value).toBeGreaterThan(0);
    // As all refusals are, it is counted under its route, and not as one of load shedding.
    expect(
      atlas.admission
        .stats()
        .decisions.every(({ decision, count }) => decision === 'admitted' || count === 0),
    ).toBe(true);
  });

  test('of an organization is refused whichever of its keys makes it, and others are served', async () => {
    const [first, second, other] = [
      await atlas.key(undefined, 'crowd'),
      await atlas.key(undefined, 'crowd'),
      await atlas.key(undefined, 'neighbor'),
    ];
    await setQuota('organization', 'crowd', { ...SLOW, burst: 1 });
    const response = await untilRefused(first);
    expect(response.headers.get('ratelimit-policy')).toBe('"organization-requests";q=1;w=1;atlas-burst=1');
    await expectProblem(atlas, response, 429, 'quota_exceeded');
    expect((await untilRefused(second)).status).toBe(429);
    for (let i = 0; i < 10; i++) expect((await ping(other)).status).toBe(200);
  });

  test('does nothing, and its body is not read', async () => {
    const token = await atlas.key(undefined, 'reader');
    await setQuota('key', idOf(token), SLOW);
    await untilRefused(token);
    let isRead = false;
    const body = new ReadableStream(
      {
        pull(controller) {
          isRead = true;
          controller.enqueue(Buffer.from('{}'));
          controller.close();
        },
      },
      { highWaterMark: 0 },
    );
    const headers = {
      Host: 'atlas.test',
      Authorization: `Bearer ${token}`,
      'Content-Type': 'application/json',
    };
    const response = await atlas.fetch(
      new Request('http://atlas.test/v1/accounts', { method: 'POST', headers, body }),
    );
    await expectProblem(atlas, response, 429, 'quota_exceeded');
    expect(isRead).toBe(false);
  });

  test('in flight is refused while as many wait as may, and served once they have ended', async () => {
    const token = await atlas.key(undefined, 'parallel');
    await setQuota('organization', 'parallel', { ...NOT_LIMITED, concurrentRequests: 2 });
    expect((await ping(token)).status).toBe(200);
    const lock = await lockTable(atlas.deps.databaseUrl, 'accounts');
    const headers = { Authorization: `Bearer ${token}` };
    const held = [1, 2].map(() => atlas.call('GET', '/v1/accounts', { headers }));
    const refused = await ping(token);
    expect(refused.headers.get('ratelimit-policy')).toBe(
      '"organization-concurrent-requests";q=2;qu="concurrent-requests"',
    );
    await expectProblem(atlas, refused, 429, 'quota_exceeded');
    await lock.release();
    for (const response of await Promise.all(held)) expect(response.status).toBe(200);
    expect((await ping(token)).status).toBe(200);
  });

  test('of a test key does not use up what live keys of the organization may', async () => {
    await isolate(atlas);
    const scopes = ['ping:read'];
    const { token } = await atlas.keys.create({
      owner: 'spaces',
      kind: 'test',
      name: 'test',
      scopes,
      expiresAt: null,
    });
    const live = await atlas.key(scopes, 'spaces');
    await setQuota('organization', 'spaces', SLOW);
    await untilRefused(token);
    expect((await ping(live)).status).toBe(200);
  });
});

test('routes without a key, and operators, have no quota', async () => {
  const app = await startTestApp({
    QUOTA_KEY_REQUESTS_PER_SECOND: '1',
    QUOTA_ORGANIZATION_CONCURRENT_REQUESTS: '1',
  });
  await untilRefused(await app.key(), app);
  for (let i = 0; i < 20; i++) {
    expect((await callWithoutKey(app, 'GET', '/health/live')).status).toBe(200);
    expect((await app.call('GET', '/v1/operator/quotas')).status).toBe(200);
  }
  await app.close();
});

test('the defaults of the settings apply to every key and organization', async () => {
  const app = await startTestApp({
    QUOTA_KEY_REQUESTS_PER_SECOND: '1',
    QUOTA_KEY_BURST: '3',
  });
  const token = await app.key();
  expect((await untilRefused(token, app)).headers.get('ratelimit-policy')).toBe(
    '"key-requests";q=1;w=1;atlas-burst=3',
  );
  const response = await app.call('GET', `/v1/operator/quotas/key/${idOf(token)}`);
  expect(await response.json()).toEqual({
    kind: 'key',
    id: idOf(token),
    requestsPerSecond: 1,
    burst: 3,
    concurrentRequests: null,
    changedAt: null,
  });
  await app.close();
});

describe('operators', () => {
  test('set, read, and reset the quota of a key or an organization', async () => {
    const token = await atlas.key(undefined, 'a/b ü');
    for (const [kind, id] of [
      ['key', idOf(token)],
      ['organization', 'a/b ü'],
    ] as const) {
      const path = `/v1/operator/quotas/${kind}/${encodeURIComponent(id)}`;
      const quota = { requestsPerSecond: 5, burst: 10, concurrentRequests: 3 };
      const isDefault = { kind, id, ...NOT_LIMITED, changedAt: null };
      expect(await (await atlas.call('GET', path)).json()).toEqual(isDefault);
      const isSet = { kind, id, ...quota, changedAt: expect.stringMatching(/^20.*Z$/) };
      expect(await (await setQuota(kind, id, quota)).json()).toEqual(isSet);
      expect(await (await atlas.call('GET', path)).json()).toEqual(isSet);
      expect(await (await setQuota(kind, id, NOT_LIMITED)).json()).toEqual({ ...isSet, ...NOT_LIMITED });
      expect((await atlas.call('DELETE', path)).status).toBe(204);
      expect((await atlas.call('DELETE', path)).status).toBe(204);
      expect(await (await atlas.call('GET', path)).json()).toEqual(isDefault);
    }
  });

  test('change a quota for requests that arrive up to 5 s later', async () => {
    const token = await atlas.key();
    expect((await ping(token)).status).toBe(200);
    await setQuota('key', idOf(token), SLOW);
    await until(async () => (await ping(token)).status === 429, { deadlineMs: 5000 });
    await atlas.call('DELETE', `/v1/operator/quotas/key/${idOf(token)}`);
    await until(
      async () => {
        for (let i = 0; i < 5; i++) if ((await ping(token)).status !== 200) return false;
        return true;
      },
      { deadlineMs: 5000 },
    );
  });

  test('list what was set, page by page', async () => {
    const app = await startTestApp();
    const ids = ['é', 'a', 'b/c', 'd'];
    for (const owner of ids) {
      await app.key(undefined, owner);
      await app.call('PUT', `/v1/operator/quotas/organization/${encodeURIComponent(owner)}`, { json: SLOW });
    }
    const listed: string[] = [];
    let cursor: string | null = null;
    do {
      const query: string = cursor === null ? '' : `&cursor=${cursor}`;
      const response = await app.call('GET', `/v1/operator/quotas?limit=1${query}`);
      const page = (await response.json()) as { quotas: { id: string }[]; nextCursor: string | null };
      expect(response.headers.has('link')).toBe(page.nextCursor !== null);
      listed.push(...page.quotas.map(({ id }) => id));
      cursor = page.nextCursor;
    } while (cursor !== null);
    expect(listed.toSorted()).toEqual(ids.toSorted());
    await app.close();
  });

  test('get 404 for a key or organization that does not exist, and for keys of operators', async () => {
    const operator = await atlas.operatorKey();
    for (const [kind, id] of [
      ['key', 'none'],
      ['organization', 'none'],
      ['key', idOf(operator)],
      ['organization', '~operators'],
    ] as const) {
      const path = `/v1/operator/quotas/${kind}/${id}`;
      await expectProblem(atlas, await atlas.call('GET', path), 404, 'quota_subject_not_found');
      await expectProblem(atlas, await setQuota(kind, id, SLOW), 404, 'quota_subject_not_found');
      await expectProblem(atlas, await atlas.call('DELETE', path), 404, 'quota_subject_not_found');
    }
  });

  test.each([
    [{ ...SLOW, requestsPerSecond: 0 }, '/requestsPerSecond'],
    [{ ...SLOW, requestsPerSecond: 1.5 }, '/requestsPerSecond'],
    [{ ...SLOW, requestsPerSecond: 1_000_001 }, '/requestsPerSecond'],
    [{ ...SLOW, burst: -1 }, '/burst'],
    [{ ...SLOW, burst: null }, '/burst'],
    [{ ...SLOW, concurrentRequests: '1' }, '/concurrentRequests'],
    [{ requestsPerSecond: 1, burst: 0 }, '/concurrentRequests'],
    [{ ...SLOW, other: 1 }, '/other'],
  ])('get 400 for %p, with a pointer', async (body, pointer) => {
    const response = await setQuota('organization', 'owner', body);
    await expectProblem(atlas, response, 400, 'invalid_request', [pointer]);
  });

  test('get 400 for a kind, an ID, or a cursor that cannot be', async () => {
    for (const path of ['team/a', `key/${'a'.repeat(1001)}`, 'key/a%00b']) {
      const response = await atlas.call('GET', `/v1/operator/quotas/${path}`);
      await expectProblem(atlas, response, 400, 'invalid_request');
    }
    for (const cursor of ['x', 'qo', 'qx00', 'qo0', 'a00'])
      await expectProblem(
        atlas,
        await atlas.call('GET', `/v1/operator/quotas?cursor=${cursor}`),
        400,
        'invalid_request',
      );
    for (const cursor of ['qo00', 'qkff'])
      expect((await atlas.call('GET', `/v1/operator/quotas?cursor=${cursor}`)).status).toBe(200);
  });
});

test('a payment that a quota refused can be repeated with the same key', async () => {
  const token = await atlas.key(undefined, 'payer');
  const headers = { Authorization: `Bearer ${token}`, 'Idempotency-Key': 'payment-1' };
  const payer = await atlas.as('payer');
  const [debit, credit] = [await openAccount(payer), await openAccount(payer)];
  const body = { debitAccountId: debit.id, creditAccountId: credit.id, amount: 5 };
  await setQuota('key', idOf(token), SLOW);
  await untilRefused(token);
  const refused = await atlas.call('POST', '/v1/transfers', { headers, json: body });
  await expectProblem(atlas, refused, 429, 'quota_exceeded');
  const served = await until(async () => {
    const response = await atlas.call('POST', '/v1/transfers', { headers, json: body });
    return response.status !== 429 && response;
  });
  expect(served.status).toBe(201);
});
