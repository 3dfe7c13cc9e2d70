import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import { openAccount } from '../../support/ledger-steps.ts';
import { START_TIMEOUT_MS, type TestApp } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';
import {
  createWebhook,
  deliveriesIn,
  listDeliveries,
  type SendingAtlas,
  startSendingAtlas,
} from '../../support/webhook-steps.ts';
import { expectProblem } from '../problem-assertions.ts';

let sending: SendingAtlas;
let atlas: TestApp;
beforeAll(async () => {
  sending = await startSendingAtlas();
  ({ atlas } = sending);
}, START_TIMEOUT_MS);
afterEach(() => sending.reset());
afterAll(() => sending.close());

describe('a replay of past events', () => {
  const replay = async (id: string, json: object) => {
    const response = await atlas.call('POST', `/v1/webhooks/${id}/replay`, { json });
    return { status: response.status, body: await response.json() };
  };

  test('sends missed and failed events in order, and delivered ones only if asked', async () => {
    const receiver = sending.receive();
    const before = await openAccount(atlas);
    const { id } = await createWebhook(atlas, { url: receiver.url });
    const after = await openAccount(atlas);
    await receiver.arrived(1);
    await deliveriesIn(atlas, id, 'delivered', 1);
    const positionOf = async (accountId: string) => {
      const { position } = (await (await atlas.call('GET', `/v1/events/${accountId}:0`)).json()) as {
        position: string;
      };
      return String(Number(position) - 1);
    };
    const since = await replay(id, { afterPosition: await positionOf(before.id) });
    expect(since).toEqual({ status: 202, body: { deliveries: 1, nextPosition: null } });
    const received = await receiver.arrived(2);
    expect(received.map(({ body }) => JSON.parse(body).subject)).toEqual([after.id, before.id]);
    await deliveriesIn(atlas, id, 'delivered', 2);
    expect((await replay(id, { afterPosition: await positionOf(before.id) })).body).toMatchObject({
      deliveries: 0,
    });
    await atlas.sql`UPDATE webhook_deliveries SET state = 'failed' WHERE event_id = ${`${after.id}:0`}`;
    expect((await replay(id, { afterPosition: await positionOf(before.id) })).body).toMatchObject({
      deliveries: 1,
    });
    await receiver.arrived(3);
    await deliveriesIn(atlas, id, 'delivered', 2);
    const again = await replay(id, { afterPosition: await positionOf(before.id), includeDelivered: true });
    expect(again.body).toMatchObject({ deliveries: 2 });
    await receiver.arrived(5);
  });

  test('by time starts with the first event since that time', async () => {
    const receiver = sending.receive();
    await openAccount(atlas);
    const account = await openAccount(atlas);
    const event = await until(async () => {
      const response = await atlas.call('GET', `/v1/events/${account.id}:0`);
      return response.status === 200 && ((await response.json()) as { time: string });
    });
    const { id } = await createWebhook(atlas, { url: receiver.url, eventTypes: ['account.opened.v1'] });
    expect((await replay(id, { since: event.time })).body).toEqual({ deliveries: 1, nextPosition: null });
    const [received] = await receiver.arrived(1);
    expect(JSON.parse(received!.body).subject).toBe(account.id);
    expect((await replay(id, { since: '2099-01-01T00:00:00Z' })).body).toEqual({
      deliveries: 0,
      nextPosition: null,
    });
  });

  test('continues in steps of a thousand events, and covers each once', async () => {
    const owner = 'historian';
    const headers = { Authorization: `Bearer ${await atlas.key(undefined, owner)}` };
    await atlas.sql`
      INSERT INTO outbox (owner, type, key, sequence, occurred_at, data)
      SELECT ${owner}, 'account.opened.v1', gen_random_uuid(), 0, now(), '{}' FROM generate_series(1, 2100)`;
    await until(
      async () => (await atlas.sql`SELECT count(*) AS n FROM events WHERE owner = ${owner}`)[0]!.n === 2100,
    );
    const { id } = await createWebhook(atlas, { url: 'http://127.0.0.1:9/' }, headers);
    await atlas.call('PATCH', `/v1/webhooks/${id}`, {
      json: { enabled: false },
      headers: { ...headers, 'If-Match': '*' },
    });
    const steps: number[] = [];
    for (let afterPosition: string | null = '0'; afterPosition !== null; ) {
      const response: Response = await atlas.call('POST', `/v1/webhooks/${id}/replay`, {
        json: { afterPosition },
        headers,
      });
      const body = (await response.json()) as { deliveries: number; nextPosition: string | null };
      steps.push(body.deliveries);
      afterPosition = body.nextPosition;
    }
    expect(steps).toEqual([1000, 1000, 100]);
    const [row] = await atlas.sql`
      SELECT count(*) AS n, count(DISTINCT event_id) AS events FROM webhook_deliveries WHERE webhook_id = ${id}`;
    expect(row).toEqual({ n: 2100, events: 2100 });
  });

  test.each([
    ['neither a time nor a position', {}, ''],
    ['both', { since: '2026-01-01T00:00:00Z', afterPosition: '1' }, ''],
    ['an invalid time', { since: 'yesterday' }, '/since'],
    ['a time before the year 1', { since: '0000-01-01T00:00:00Z' }, '/since'],
    ['a time before the year 1 in UTC', { since: '0001-01-01T00:00:00+14:00' }, '/since'],
    ['a time after the year 9999 in UTC', { since: '9999-12-31T23:59:59-01:00' }, '/since'],
    ['a time without a zone', { since: '2026-01-01T00:00:00' }, '/since'],
    ['an invalid position', { afterPosition: '-1' }, '/afterPosition'],
    ['a position that is not a string', { afterPosition: 1 }, '/afterPosition'],
  ])('is refused with %s', async (_what, json, pointer) => {
    const { id } = await createWebhook(atlas, { url: 'http://127.0.0.1:9/' });
    const response = await atlas.call('POST', `/v1/webhooks/${id}/replay`, { json });
    await expectProblem(atlas, response, 400, 'invalid_request', [pointer]);
  });
});

test('pages list every delivery exactly once, newest first, and can be filtered by state', async () => {
  const { id } = await createWebhook(atlas, { url: 'http://127.0.0.1:9/' });
  await atlas.call('PATCH', `/v1/webhooks/${id}`, { json: { enabled: false }, headers: { 'If-Match': '*' } });
  const ids: string[] = [];
  for (let i = 0; i < 5; i++) {
    const response = await atlas.call('POST', `/v1/webhooks/${id}/test`);
    ids.unshift(((await response.json()) as { id: string }).id);
  }
  await atlas.sql`UPDATE webhook_deliveries SET state = 'failed' WHERE id = ${ids[3]!}`;
  const seen: string[] = [];
  for (let path: string | null = `/v1/webhooks/${id}/deliveries?limit=2`; path !== null; ) {
    const response: Response = await atlas.call('GET', path);
    seen.push(
      ...((await response.json()) as { deliveries: { id: string }[] }).deliveries.map((found) => found.id),
    );
    const link = response.headers.get('link');
    path = link === null ? null : /^<([^>]+)>; rel="next"$/.exec(link)![1]!;
  }
  expect(seen).toEqual(ids);
  expect((await listDeliveries(atlas, id, '?state=failed')).map((found) => found.id)).toEqual([ids[3]!]);
  expect(await listDeliveries(atlas, id, '?state=delivered')).toEqual([]);
  const unknown = await atlas.call('GET', `/v1/webhooks/${id}/deliveries?state=lost`);
  await expectProblem(atlas, unknown, 400, 'invalid_request', ['/query/state']);
  const missing = await atlas.call('GET', `/v1/webhooks/${id}/deliveries/${crypto.randomUUID()}`);
  await expectProblem(atlas, missing, 404, 'delivery_not_found');
});
