import { afterAll, beforeAll, expect, test } from 'bun:test';
import { listEvents, relayAll, StreamReader } from '../../support/event-steps.ts';
import { newKey, openAccount, postTransfer } from '../../support/ledger-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { createWebhook, listDeliveries } from '../../support/webhook-steps.ts';

// All IDs of this test contain letters, so that upper case makes a difference.
const newId = () => crypto.randomUUID().replace(/^./, 'a');

let atlas: TestApp;
beforeAll(async () => {
  atlas = await startTestApp({ WEBHOOKS_ALLOWED_HOSTS: '127.0.0.1' });
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

const read = async (path: string) => {
  const response = await atlas.call('GET', path);
  return { path, status: response.status, body: await response.text() };
};
/** Expects the same response for both spellings of a path. */
const expectSame = async (path: string, id: string) => {
  expect(id).not.toBe(id.toUpperCase());
  const [lower, upper] = [await read(path), await read(path.replace(id, id.toUpperCase()))];
  expect({ ...upper, path }).toEqual({ ...lower, status: 200 });
};

test('in the body: an account and a transfer exist under both spellings, and a retry may use either', async () => {
  const [id, other, transferId] = [newId(), newId(), newId()];
  await openAccount(atlas, { id });
  const again = { id: id.toUpperCase(), ledger: 'EUR', allowNegative: true };
  expect((await atlas.call('POST', '/v1/accounts', { json: again })).status).toBe(200);
  await openAccount(atlas, { id: other });
  const key = newKey();
  const order = { id: transferId, debitAccountId: id, creditAccountId: other, amount: 1 };
  const upper = Object.fromEntries(
    Object.entries(order).map(([name, value]) => [
      name,
      typeof value === 'string' ? value.toUpperCase() : value,
    ]),
  );
  const [first, second] = [await postTransfer(atlas, order, key), await postTransfer(atlas, upper, key)];
  expect([first.status, second.status, second.headers.get('idempotency-replayed')]).toEqual([
    201,
    201,
    'true',
  ]);
  expect(await second.text()).toBe(await first.text());
  expect((await postTransfer(atlas, upper)).status).toBe(200);
});

test('in the path: of accounts, transfers, webhooks, deliveries, files, and events', async () => {
  const [id, other, transferId] = [newId(), newId(), newId()];
  await openAccount(atlas, { id });
  await openAccount(atlas, { id: other });
  await postTransfer(atlas, { id: transferId, debitAccountId: id, creditAccountId: other, amount: 1 });
  const webhook = await createWebhook(atlas, { url: 'http://127.0.0.1:9/' });
  await atlas.call('POST', `/v1/webhooks/${webhook.id}/test`);
  const [delivery] = await listDeliveries(atlas, webhook.id);
  const upload = await atlas.call('POST', '/v1/files', { body: new TextEncoder().encode('hello') });
  const file = (await upload.json()) as { id: string };
  await relayAll(atlas);
  for (const [path, inPath] of [
    [`/v1/accounts/${id}`, id],
    [`/v1/accounts/${id}/transfers`, id],
    [`/v1/transfers/${transferId}`, transferId],
    [`/v1/webhooks/${webhook.id}`, webhook.id],
    [`/v1/webhooks/${webhook.id}/deliveries`, webhook.id],
    [`/v1/webhooks/${webhook.id}/deliveries/${delivery!.id}`, delivery!.id],
    [`/v1/files/${file.id}`, file.id],
    [`/v1/files/${file.id}/content`, file.id],
    [`/v1/events/${id}:0`, id],
    [`/v1/events?key=${id}`, id],
  ] as const)
    await expectSame(path, inPath);
});

test('in links to this server', async () => {
  const upload = await atlas.call('POST', '/v1/files', { body: new TextEncoder().encode('hello') });
  const { id } = (await upload.json()) as { id: string };
  const link = (await (await atlas.call('POST', `/v1/files/${id.toUpperCase()}/link`)).json()) as {
    url: string;
  };
  await expectSame(link.url, id);
});

test('in cursors of every list, and in Last-Event-ID', async () => {
  for (let i = 0; i < 12; i++) await openAccount(atlas, { id: newId() });
  await relayAll(atlas);
  for (const path of ['/v1/accounts', '/v1/events']) {
    const { nextCursor } = JSON.parse((await read(`${path}?limit=10`)).body) as { nextCursor: string };
    await expectSame(`${path}?limit=5&cursor=${nextCursor}`, nextCursor);
  }
  const { nextCursor, events } = await listEvents(atlas, '?limit=10');
  const next = await listEvents(atlas, `?limit=1&cursor=${nextCursor}`);
  expect(events).toHaveLength(10);
  for (const lastId of [nextCursor!, nextCursor!.toUpperCase()]) {
    const stream = new StreamReader(
      await atlas.call('GET', '/v1/events/stream', { headers: { 'Last-Event-ID': lastId } }),
    );
    expect((await stream.event())!.id).toBe(next.events[0]!.id);
    await stream.leave();
  }
});
