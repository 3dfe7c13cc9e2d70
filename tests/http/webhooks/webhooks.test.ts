import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { createWebhook, type WebhookResource } from '../../support/webhook-steps.ts';
import { expectProblem } from '../problem-assertions.ts';

let atlas: TestApp;
beforeAll(async () => {
  atlas = await startTestApp({ WEBHOOKS_ALLOWED_HOSTS: '127.0.0.1' });
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

// Nothing listens there, and these tests send nothing.
const TARGET = 'http://127.0.0.1:9/hooks?tenant=1';
const as = async (owner: string) => ({ Authorization: `Bearer ${await atlas.key(undefined, owner)}` });
const read = async (id: string) => {
  const response = await atlas.call('GET', `/v1/webhooks/${id}`);
  expect(response.status).toBe(200);
  return { etag: response.headers.get('etag')!, webhook: (await response.json()) as WebhookResource };
};
const patch = (id: string, json: unknown, etag?: string) =>
  atlas.call('PATCH', `/v1/webhooks/${id}`, {
    json,
    headers: etag === undefined ? {} : { 'If-Match': etag },
  });

test('a webhook is created enabled, with a secret that is shown once', async () => {
  const response = await atlas.call('POST', '/v1/webhooks', {
    json: {
      url: `${TARGET}#part`,
      eventTypes: ['account.opened.v1', 'account.opened.v1'],
      description: 'Ours',
    },
  });
  expect(response.status).toBe(201);
  const { secret, ...webhook } = (await response.json()) as WebhookResource & { secret: string };
  expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
  expect(webhook).toEqual({
    id: expect.any(String) as never,
    url: TARGET,
    eventTypes: ['account.opened.v1'],
    description: 'Ours',
    enabled: true,
    disabledReason: null,
    disabledAt: null,
    failingSince: null,
    oldSecretUntil: null,
    createdAt: expect.stringMatching(/^\d{4}-.*Z$/),
  } as never);
  expect(response.headers.get('location')).toBe(`/v1/webhooks/${webhook.id}`);
  const { etag, webhook: again } = await read(webhook.id);
  expect(again).toEqual(webhook);
  expect(etag).toBe(response.headers.get('etag')!);
  const list = await (await atlas.call('GET', '/v1/webhooks')).text();
  expect(list).toContain(webhook.id);
  for (const text of [list, JSON.stringify(again), atlas.logs.join('')])
    expect(text).not.toContain(secret.slice(6));
});

describe('a webhook is rejected', () => {
  test.each([
    ['without a URL', {}, '/url'],
    ['with an invalid URL', { url: 'https://' }, '/url'],
    ['with another protocol', { url: 'ftp://example.com/' }, '/url'],
    ['with a line break in its URL', { url: 'https://example.com/\r\nX: y' }, '/url'],
    ['with a very long URL', { url: `https://example.com/${'a'.repeat(2048)}` }, '/url'],
    ['with a type that does not exist', { url: TARGET, eventTypes: ['account.debit'] }, '/eventTypes/0'],
    ['with no types at all', { url: TARGET, eventTypes: [] }, '/eventTypes'],
    ['with a secret chosen by the caller', { url: TARGET, secret: 'whsec_x' }, '/secret'],
  ])('%s', async (_what, json, pointer) => {
    const response = await atlas.call('POST', '/v1/webhooks', { json });
    await expectProblem(atlas, response, 400, 'invalid_request', [pointer]);
  });

  test.each([
    ['https://127.0.0.2/'],
    ['https://[::1]/'],
    ['https://169.254.169.254/latest/meta-data'],
    ['https://2130706434/'],
    ['https://localhost/'],
    ['http://example.com/'],
    ['https://user:secret@example.com/'],
    ['https://example.com:22/'],
  ])('because nothing may be sent to %s', async (url) => {
    const before = await (await atlas.call('GET', '/v1/webhooks')).json();
    const response = await atlas.call('POST', '/v1/webhooks', { json: { url } });
    await expectProblem(atlas, response, 422, 'webhook_target_refused');
    expect(await (await atlas.call('GET', '/v1/webhooks')).json()).toEqual(before);
  });

  test('when its owner has 20, also under concurrent creation, and not when others have', async () => {
    const headers = await as('collector');
    const responses = await Promise.all(
      Array.from({ length: 24 }, () =>
        atlas.call('POST', '/v1/webhooks', { json: { url: TARGET }, headers }),
      ),
    );
    const made = responses.filter(({ status }) => status === 201);
    expect(made).toHaveLength(20);
    const refused = responses.find(({ status }) => status !== 201)!;
    await expectProblem(atlas, refused, 422, 'too_many_webhooks');
    await createWebhook(atlas, { url: TARGET });
    const { id } = (await made[0]!.json()) as WebhookResource;
    expect((await atlas.call('DELETE', `/v1/webhooks/${id}`, { headers })).status).toBe(204);
    expect((await atlas.call('POST', '/v1/webhooks', { json: { url: TARGET }, headers })).status).toBe(201);
  });
});

test('an owner cannot pile up deleted webhooks, which every search for due deliveries would pass', async () => {
  const headers = await as('churner');
  const create = () => atlas.call('POST', '/v1/webhooks', { json: { url: TARGET }, headers });
  const { id } = (await (await create()).json()) as WebhookResource;
  await atlas.sql`
    INSERT INTO webhooks (id, owner, url, secret, sealed_secret, enabled, deleted_at)
    SELECT gen_random_uuid(), owner, url, secret, sealed_secret, false, now() FROM webhooks, generate_series(1, 199) WHERE id = ${id}`;
  expect((await create()).status).toBe(201);
  expect((await atlas.call('DELETE', `/v1/webhooks/${id}`, { headers })).status).toBe(204);
  await expectProblem(atlas, await create(), 422, 'too_many_webhooks');
  await createWebhook(atlas, { url: TARGET });
  await atlas.sql`UPDATE webhooks SET deleted_at = deleted_at - interval '61 minutes' WHERE owner = 'churner'`;
  await atlas.jobs.find(({ name }) => name === 'delete old webhook deliveries')!.run();
  expect((await create()).status).toBe(201);
});

test('webhooks of others do not exist for an owner', async () => {
  const { id } = await createWebhook(atlas, { url: TARGET });
  const headers = await as('stranger');
  for (const [method, path, json] of [
    ['GET', '', undefined],
    ['PATCH', '', { enabled: false }],
    ['DELETE', '', undefined],
    ['POST', '/secret', undefined],
    ['POST', '/test', undefined],
    ['POST', '/replay', { afterPosition: '0' }],
    ['GET', '/deliveries', undefined],
    ['GET', `/deliveries/${crypto.randomUUID()}`, undefined],
    ['POST', `/deliveries/${crypto.randomUUID()}/replay`, undefined],
  ] as const) {
    const response = await atlas.call(method, `/v1/webhooks/${id}${path}`, {
      ...(json && { json }),
      headers: { ...headers, 'If-Match': '*' },
    });
    await expectProblem(atlas, response, 404, 'webhook_not_found');
  }
  expect(await (await atlas.call('GET', '/v1/webhooks', { headers })).json()).toEqual({
    webhooks: [],
    nextCursor: null,
  });
  expect((await read(id)).webhook.enabled).toBe(true);
});

test('pages list every webhook exactly once, oldest first', async () => {
  const headers = await as('walker');
  const ids: string[] = [];
  for (let i = 0; i < 5; i++) {
    const response = await atlas.call('POST', '/v1/webhooks', { json: { url: TARGET }, headers });
    ids.push(((await response.json()) as WebhookResource).id);
  }
  const seen: string[] = [];
  for (let path: string | null = '/v1/webhooks?limit=2'; path !== null; ) {
    const response: Response = await atlas.call('GET', path, { headers });
    const page = (await response.json()) as { webhooks: WebhookResource[]; nextCursor: string | null };
    seen.push(...page.webhooks.map(({ id }) => id));
    const link = response.headers.get('link');
    path = link === null ? null : /^<([^>]+)>; rel="next"$/.exec(link)![1]!;
  }
  expect(seen).toEqual(ids);
});

describe('a change', () => {
  test('updates the given members and nothing else, and the ETag', async () => {
    const { id } = await createWebhook(atlas, {
      url: TARGET,
      description: 'Old',
      eventTypes: ['account.opened.v1'],
    });
    const { etag, webhook } = await read(id);
    const response = await patch(id, { description: null }, etag);
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ ...webhook, description: null });
    expect(response.headers.get('etag')).not.toBe(etag);
    const all = await patch(id, { eventTypes: null, url: `${TARGET}2` }, response.headers.get('etag')!);
    expect(await all.json()).toEqual({ ...webhook, description: null, eventTypes: null, url: `${TARGET}2` });
  });

  test('needs an If-Match with the current version', async () => {
    const { id } = await createWebhook(atlas, { url: TARGET });
    const { etag } = await read(id);
    await expectProblem(atlas, await patch(id, { enabled: false }), 428, 'precondition_required');
    for (const stale of ['"999"', `W/${etag}`, 'nonsense', `"${id}"`])
      await expectProblem(atlas, await patch(id, { enabled: false }, stale), 412, 'precondition_failed');
    expect((await read(id)).webhook.enabled).toBe(true);
    expect((await patch(id, { enabled: false }, `"999", ${etag}`)).status).toBe(200);
    await expectProblem(atlas, await patch(id, { enabled: true }, etag), 412, 'precondition_failed');
    expect((await patch(id, { enabled: true }, '*')).status).toBe(200);
  });

  test('of several concurrent ones with the same ETag, one succeeds', async () => {
    const { id } = await createWebhook(atlas, { url: TARGET });
    const { etag } = await read(id);
    const responses = await Promise.all(
      ['a', 'b', 'c', 'd'].map((description) => patch(id, { description }, etag)),
    );
    expect(responses.map(({ status }) => status).toSorted()).toEqual([200, 412, 412, 412]);
  });

  test('to a target that is not allowed is rejected', async () => {
    const { id } = await createWebhook(atlas, { url: TARGET });
    const { etag, webhook } = await read(id);
    const response = await patch(id, { url: 'https://10.0.0.1/', enabled: false }, etag);
    await expectProblem(atlas, response, 422, 'webhook_target_refused');
    expect(await read(id)).toEqual({ etag, webhook });
  });

  test('disables and enables, which resets its failures', async () => {
    const { id } = await createWebhook(atlas, { url: TARGET });
    await atlas.sql`UPDATE webhooks SET failing_since = now() WHERE id = ${id}`;
    const off = (await (await patch(id, { enabled: false }, '*')).json()) as WebhookResource;
    expect(off).toMatchObject({ enabled: false, disabledReason: null });
    expect([off.disabledAt, off.failingSince]).toEqual([expect.any(String), expect.any(String)]);
    await atlas.sql`UPDATE webhooks SET disabled_reason = 'failing' WHERE id = ${id}`;
    const on = await (await patch(id, { enabled: true }, '*')).json();
    expect(on).toMatchObject({ enabled: true, disabledReason: null, disabledAt: null, failingSince: null });
  });
});

test('a new secret replaces the old one, which signs for another day', async () => {
  const { id, secret } = await createWebhook(atlas, { url: TARGET });
  const response = await atlas.call('POST', `/v1/webhooks/${id}/secret`);
  expect(response.status).toBe(200);
  const rotated = (await response.json()) as WebhookResource & { secret: string };
  expect(rotated.secret).not.toBe(secret);
  const untilMs = Date.parse(rotated.oldSecretUntil!);
  expect(Math.abs(untilMs - Date.now() - 24 * 3_600_000)).toBeLessThan(600_000);
  const [row] = await atlas.sql`SELECT sealed_secret, sealed_old_secret FROM webhooks WHERE id = ${id}`;
  const text = (record: string) =>
    `whsec_${atlas.deps.sealing.open(record, { purpose: 'webhook secret', id }).toString('base64')}`;
  expect([text(row!.sealedSecret), text(row!.sealedOldSecret)]).toEqual([rotated.secret, secret]);
});

test('a deleted webhook is gone immediately', async () => {
  const { id } = await createWebhook(atlas, { url: TARGET });
  expect((await atlas.call('DELETE', `/v1/webhooks/${id}`)).status).toBe(204);
  await expectProblem(atlas, await atlas.call('GET', `/v1/webhooks/${id}`), 404, 'webhook_not_found');
  await expectProblem(atlas, await atlas.call('DELETE', `/v1/webhooks/${id}`), 404, 'webhook_not_found');
  await expectProblem(atlas, await patch(id, { enabled: true }, '*'), 404, 'webhook_not_found');
});
