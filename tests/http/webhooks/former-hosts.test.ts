import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { BackgroundLoops } from '../../../src/resilience/background-loops.ts';
import { availableFormerReleases, type FormerHost, startFormerHost } from '../../support/former-release.ts';
import { openAccount } from '../../support/ledger-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';
import { startReceiver, type WebhookReceiver } from '../../support/webhook-receiver.ts';
import { createWebhook, listDeliveries, readDelivery } from '../../support/webhook-steps.ts';

const BACKOFF = { RETRY_MULTIPLIER: 2, RETRY_MIN_WAIT: 0.01, RETRY_MAX_WAIT: 0.1, RETRY_JITTER: false };
const WEBHOOKS = { WEBHOOKS_ALLOWED_HOSTS: '127.0.0.1' };

describe.each(availableFormerReleases())('webhooks, while hosts of this release and of %s run', (release) => {
  let atlas: TestApp;
  let former: FormerHost;
  let receiver: WebhookReceiver;
  beforeEach(async () => {
    atlas = await startTestApp(WEBHOOKS);
    former = await startFormerHost(release, atlas, WEBHOOKS);
    receiver = startReceiver();
  }, START_TIMEOUT_MS);
  afterEach(async () => {
    await receiver.stop();
    await former.close();
    await atlas.close();
  });

  /** Runs loops of a host: the relay and the fan-out, or the sender. */
  const run = async <T>(host: Pick<TestApp, 'loops'>, names: RegExp, work: () => Promise<T>): Promise<T> => {
    const chosen = host.loops.filter(({ name }) => names.test(name));
    const loops = new BackgroundLoops(chosen, BACKOFF, (name, error) => console.error(name, error));
    loops.start();
    try {
      return await work();
    } finally {
      await loops.stop();
    }
  };
  const [RELAY, SENDER] = [/relay|fan-out/, /deliveries/];
  const count = async (state: string) =>
    (await atlas.sql`SELECT FROM webhook_deliveries WHERE state = ${state}`).count;

  test('events become deliveries on either, and either sends those of the other', async () => {
    const { id } = await createWebhook(atlas, { url: receiver.url });
    let opened = 0;
    for (const [from, to] of [
      [atlas, former],
      [former, atlas],
      [atlas, former],
    ] as const) {
      await openAccount(atlas);
      opened++;
      await run(from, RELAY, () => until(async () => (await count('pending')) === 1));
      const [delivery] = await listDeliveries(atlas, id);
      const { body } = await readDelivery(atlas, id, delivery!.id);
      await run(to, SENDER, () => until(async () => (await count('delivered')) === opened));
      expect(receiver.received.at(-1)!.body).toBe(body);
      expect(JSON.parse(body).id).toBe(delivery!.eventId);
    }
    expect(receiver.received).toHaveLength(3);
  });

  test('this one frees no delivery that the other is sending, though no incarnation of it is known', async () => {
    const hanging = Promise.withResolvers<Response>();
    receiver.respond = () => hanging.promise;
    await createWebhook(atlas, { url: receiver.url });
    await openAccount(atlas);
    await run(former, /./, async () => {
      await receiver.arrived(1);
      await run(atlas, SENDER, async () => {
        await until(() => atlas.deps.incarnation.canJudge());
        await openAccount(atlas);
        await receiver.arrived(2);
      });
    });
    const ids = receiver.received.map(({ headers }) => headers['webhook-id']);
    expect(new Set(ids).size).toBe(ids.length);
    hanging.resolve(new Response());
  });

  test('what this one has deferred and what the other one handles afterwards becomes each delivery once', async () => {
    const [webhooks, deferred, direct] = [20, 80, 5];
    for (let i = 0; i < webhooks; i++) await createWebhook(atlas, { url: receiver.url });
    for (let i = 0; i < deferred; i++) await openAccount(atlas);
    const isSent = () => until(async () => (await atlas.sql`SELECT FROM outbox`).count === 0);
    await run(atlas, /^relay$/, isSent);
    const deliveries = () => atlas.sql`SELECT webhook_id, event_id FROM webhook_deliveries`;
    const left = async () => (await atlas.sql`SELECT FROM deferred_events, unnest(positions)`).count;
    await run(atlas, /^webhook fan-out$/, () => until(async () => (await left()) === deferred));
    expect(await deliveries()).toHaveLength(0);
    for (let i = 0; i < direct; i++) await openAccount(atlas);
    await run(former, RELAY, () => until(async () => (await deliveries()).length === direct * webhooks));
    await run(atlas, RELAY, () => until(async () => (await left()) === 0));
    const all = (await deliveries()).map(({ webhookId, eventId }) => `${webhookId} ${eventId}`);
    expect(all).toHaveLength((deferred + direct) * webhooks);
    expect(new Set(all).size).toBe(all.length);
  });
});
