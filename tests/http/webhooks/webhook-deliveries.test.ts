import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import { Webhook } from 'standardwebhooks';
import { openAccount, postTransfer } from '../../support/ledger-steps.ts';
import { START_TIMEOUT_MS, type TestApp } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';
import {
  createWebhook,
  deliveriesIn,
  disablingsOf,
  listDeliveries,
  readDelivery,
  readWebhook,
  type SendingAtlas,
  startSendingAtlas,
} from '../../support/webhook-steps.ts';

let sending: SendingAtlas;
let atlas: TestApp;
beforeAll(async () => {
  sending = await startSendingAtlas();
  ({ atlas } = sending);
}, START_TIMEOUT_MS);
afterEach(() => sending.reset());
afterAll(() => sending.close());

test('events of the owner are delivered, signed so that the official library verifies them, and none of others', async () => {
  const receiver = sending.receive();
  const { id, secret } = await createWebhook(atlas, { url: `${receiver.url}/hooks?tenant=1` });
  const stranger = { Authorization: `Bearer ${await atlas.key(undefined, 'stranger')}` };
  await atlas.call('POST', '/v1/accounts', { json: { ledger: 'EUR' }, headers: stranger });
  const bank = await openAccount(atlas, { metadata: { 'a"\\b': 'Zoë \\ "🏦"\n' }, name: "'; DROP" });
  const alice = await openAccount(atlas);
  await postTransfer(atlas, {
    debitAccountId: bank.id,
    creditAccountId: alice.id,
    amount: 5,
    reference: '{,}"',
  });
  const received = await receiver.arrived(4);
  const events = received.map(({ path, headers, body }) => {
    expect(path).toBe('/hooks?tenant=1');
    expect(headers['content-type']).toBe('application/json');
    return new Webhook(secret).verify(body, headers) as {
      id: string;
      type: string;
      subject: string;
      data: object;
    };
  });
  expect(events.map(({ type }) => type).toSorted()).toEqual([
    'account.credited.v1',
    'account.debited.v1',
    'account.opened.v1',
    'account.opened.v1',
  ]);
  for (const [i, event] of events.entries()) {
    expect([bank.id, alice.id]).toContain(event.subject);
    expect(received[i]!.headers['webhook-id']).toBe(`${event.id}:${id}`);
    const listed = await (await atlas.call('GET', `/v1/events/${event.id}`)).json();
    expect(listed).toMatchObject(JSON.parse(received[i]!.body));
  }
  const delivered = await deliveriesIn(atlas, id, 'delivered', 4);
  const detail = await readDelivery(atlas, id, delivered[0]!.id);
  // Deliveries arrive in any order.
  const arrival = received.find(({ headers }) => headers['webhook-id'] === `${detail.eventId}:${id}`);
  expect(detail).toMatchObject({ attemptCount: 1, nextAttemptAt: null, body: arrival!.body });
  expect(detail.attempts).toEqual([
    {
      number: 1,
      startedAt: expect.any(String),
      durationMs: expect.any(Number),
      status: 204,
      failure: null,
    } as never,
  ]);
  expect(receiver.received).toHaveLength(4);
});

test('only subscribed types are sent, and no events from before its creation or while it is disabled', async () => {
  const receiver = sending.receive();
  const bank = await openAccount(atlas);
  const { id } = await createWebhook(atlas, { url: receiver.url, eventTypes: ['account.debited.v1'] });
  const alice = await openAccount(atlas);
  const pay = () => postTransfer(atlas, { debitAccountId: bank.id, creditAccountId: alice.id, amount: 1 });
  const patch = (json: object) =>
    atlas.call('PATCH', `/v1/webhooks/${id}`, { json, headers: { 'If-Match': '*' } });
  await pay();
  await receiver.arrived(1);
  await patch({ enabled: false });
  await pay();
  await sending.fannedOut();
  await patch({ enabled: true });
  await pay();
  await receiver.arrived(2);
  expect(receiver.received.map(({ body }) => JSON.parse(body).sequence)).toEqual(['1', '3']);
});

describe('a delivery that fails', () => {
  test('is sent again with the same webhook-id and body, and a new timestamp and signature', async () => {
    const receiver = sending.receive();
    receiver.respond = () => new Response(null, { status: receiver.received.length === 1 ? 500 : 200 });
    const { id, secret } = await createWebhook(atlas, { url: receiver.url });
    await openAccount(atlas);
    const [pending] = await until(async () => {
      const found = await listDeliveries(atlas, id, '?state=pending');
      return found[0]?.attemptCount === 1 && found[0].nextAttemptAt !== null && found;
    });
    expect(Date.parse(pending!.nextAttemptAt!)).toBeGreaterThan(Date.now() + 1000);
    expect((await readWebhook(atlas, id)).failingSince).not.toBeNull();
    await sending.hurry();
    const [first, second] = await receiver.arrived(2);
    expect(second!.body).toBe(first!.body);
    expect(second!.headers['webhook-id']).toBe(first!.headers['webhook-id']!);
    new Webhook(secret).verify(second!.body, second!.headers);
    await deliveriesIn(atlas, id, 'delivered', 1);
    expect((await readWebhook(atlas, id)).failingSince).toBeNull();
    const { attempts } = await readDelivery(atlas, id, pending!.id);
    expect(attempts.map(({ number, status, failure }) => [number, status, failure])).toEqual([
      [2, 200, null],
      [1, 500, 'status'],
    ]);
  });

  test('fails after the last attempt, and can be replayed on its own', async () => {
    const receiver = sending.receive();
    receiver.respond = () => new Response(null, { status: 404 });
    const { id } = await createWebhook(atlas, { url: receiver.url });
    await openAccount(atlas);
    for (let attempt = 1; attempt <= 10; attempt++) {
      await receiver.arrived(attempt);
      await until(async () => {
        const [row] = await atlas.sql`
          SELECT attempts = ${attempt} AND leased_until IS NULL AS ended FROM webhook_deliveries WHERE webhook_id = ${id}`;
        return row!.ended;
      });
      await sending.hurry();
    }
    const [failed] = await deliveriesIn(atlas, id, 'failed', 1);
    expect(failed).toMatchObject({ attemptCount: 10, nextAttemptAt: null });
    expect(receiver.received).toHaveLength(10);
    receiver.respond = () => new Response(null, { status: 201 });
    const path = `/v1/webhooks/${id}/deliveries/${failed!.id}/replay`;
    const replayed = await atlas.call('POST', path);
    expect([replayed.status, await replayed.json()]).toMatchObject([
      202,
      { id: failed!.id, state: 'pending' },
    ]);
    await deliveriesIn(atlas, id, 'delivered', 1);
    const ids = receiver.received.map(({ headers }) => headers['webhook-id']);
    expect(new Set(ids).size).toBe(1);
    expect(ids).toHaveLength(11);
  });

  test('because the target redirects does not follow the redirect', async () => {
    const elsewhere = sending.receive();
    const receiver = sending.receive();
    receiver.respond = () => Response.redirect(`${elsewhere.url}/`, 307);
    const { id } = await createWebhook(atlas, { url: receiver.url });
    await atlas.call('POST', `/v1/webhooks/${id}/test`);
    const [failed] = await deliveriesIn(atlas, id, 'failed', 1);
    const { attempts } = await readDelivery(atlas, id, failed!.id);
    expect(attempts).toMatchObject([{ status: 307, failure: 'status' }]);
    expect(elsewhere.received).toEqual([]);
  });

  test('because the connection is refused says so', async () => {
    const receiver = sending.receive();
    const { id } = await createWebhook(atlas, { url: receiver.url });
    await receiver.stop();
    await atlas.call('POST', `/v1/webhooks/${id}/test`);
    const [failed] = await deliveriesIn(atlas, id, 'failed', 1);
    const { attempts } = await readDelivery(atlas, id, failed!.id);
    expect(attempts).toMatchObject([{ status: null, failure: 'connection_failed' }]);
  });
});

test('an unresponsive target delays its own deliveries, at most eight at a time, and nobody else’s', async () => {
  const slow = sending.receive();
  const fast = sending.receive();
  const release = Promise.withResolvers<Response>();
  slow.respond = () => release.promise.then((response) => response.clone());
  const { id } = await createWebhook(atlas, { url: slow.url });
  for (let i = 0; i < 20; i++) await openAccount(atlas);
  await slow.arrived(8);
  await createWebhook(atlas, { url: fast.url });
  for (let i = 0; i < 20; i++) await openAccount(atlas);
  await fast.arrived(20);
  expect(slow.received).toHaveLength(8);
  release.resolve(new Response());
  await deliveriesIn(atlas, id, 'delivered', 40);
});

test('a target that responds 410 receives nothing more, and its owner gets an event', async () => {
  const receiver = sending.receive();
  const witness = sending.receive();
  receiver.respond = () => new Response(null, { status: 410 });
  const { id } = await createWebhook(atlas, { url: receiver.url });
  await createWebhook(atlas, { url: witness.url, eventTypes: ['webhook.disabled.v1'] });
  await openAccount(atlas);
  const [notice] = await witness.arrived(1);
  expect(JSON.parse(notice!.body)).toMatchObject({
    type: 'webhook.disabled.v1',
    subject: id,
    sequence: '1',
    data: {
      webhookId: id,
      url: `${receiver.url}/`,
      reason: 'The target returned 410 Gone.',
    },
  });
  expect(await readWebhook(atlas, id)).toMatchObject({
    enabled: false,
    disabledReason: 'gone',
    disabledAt: expect.any(String),
  });
  expect(await disablingsOf(atlas, id)).toEqual(['gone']);
  await openAccount(atlas);
  await sending.fannedOut();
  await sending.hurry();
  await atlas.call('POST', `/v1/webhooks/${id}/test`);
  await atlas.call('PATCH', `/v1/webhooks/${id}`, { json: { enabled: true }, headers: { 'If-Match': '*' } });
  receiver.respond = () => new Response(null, { status: 204 });
  // Pending deliveries resume: the account from before, and the test. The account from the meantime had none.
  await deliveriesIn(atlas, id, 'delivered', 2);
  expect(receiver.received).toHaveLength(3);
});

test('a webhook is disabled after five days of failures, not before, and not if an attempt succeeded', async () => {
  const receiver = sending.receive();
  const witness = sending.receive();
  receiver.respond = () => new Response(null, { status: 500 });
  const { id } = await createWebhook(atlas, { url: receiver.url });
  await createWebhook(atlas, { url: witness.url, eventTypes: ['webhook.disabled.v1'] });
  /** Moves the first failure into the past. */
  const age = (interval: string) =>
    atlas.sql`UPDATE webhooks SET failing_since = failing_since - ${interval}::interval WHERE id = ${id}`;
  const fail = async () => {
    const { length } = receiver.received;
    await atlas.call('POST', `/v1/webhooks/${id}/test`);
    await receiver.arrived(length + 1);
    await until(async () => (await listDeliveries(atlas, id, '?state=pending')).length === 0);
  };
  await fail();
  await age('4 days 23 hours');
  await fail();
  expect((await readWebhook(atlas, id)).enabled).toBe(true);
  receiver.respond = () => new Response();
  await fail();
  expect((await readWebhook(atlas, id)).failingSince).toBeNull();
  receiver.respond = () => new Response(null, { status: 500 });
  await fail();
  await age('5 days');
  await fail();
  const [notice] = await witness.arrived(1);
  expect(JSON.parse(notice!.body).data.reason).toMatch(
    /^Every attempt since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ has failed\.$/,
  );
  expect(await readWebhook(atlas, id)).toMatchObject({ enabled: false, disabledReason: 'failing' });
  expect(await disablingsOf(atlas, id)).toEqual(['failing']);
});

test('during a rotation both secrets verify, and after a day only the new one', async () => {
  const receiver = sending.receive();
  const { id, secret } = await createWebhook(atlas, { url: receiver.url });
  const rotated = (await (await atlas.call('POST', `/v1/webhooks/${id}/secret`)).json()) as {
    secret: string;
  };
  const verify = (key: string, i: number) =>
    new Webhook(key).verify(receiver.received[i]!.body, receiver.received[i]!.headers);
  await atlas.call('POST', `/v1/webhooks/${id}/test`);
  await receiver.arrived(1);
  verify(secret, 0);
  verify(rotated.secret, 0);
  await atlas.sql`UPDATE webhooks SET old_secret_until = now() WHERE id = ${id}`;
  await atlas.call('POST', `/v1/webhooks/${id}/test`);
  await receiver.arrived(2);
  verify(rotated.secret, 1);
  expect(() => verify(secret, 1)).toThrow();
});

test('the metrics count attempts and their outcomes', async () => {
  const text = await (await atlas.call('GET', '/metrics')).text();
  for (const line of [
    /^atlas_webhook_attempts_total\{outcome="delivered"\} [1-9]/m,
    /^atlas_webhook_attempts_total\{outcome="status"\} [1-9]/m,
    /^atlas_webhook_attempt_duration_seconds_count [1-9]/m,
    /^atlas_webhook_deliveries_given_up_total [1-9]/m,
    /^atlas_webhook_disabled_total 2$/m,
    /^atlas_webhook_due \d/m,
    /^atlas_webhook_due_age_seconds \d/m,
    /^atlas_webhook_in_flight \d/m,
    /^atlas_webhook_deferred_owners \d/m,
    /^atlas_webhook_deferred_age_seconds \d/m,
  ])
    expect(text).toMatch(line);
});
