import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { DeferredEvents } from '../../../src/adapters/event-log/deferred-events.ts';
import type { Database } from '../../../src/adapters/postgres/database.ts';
import { Incarnation } from '../../../src/adapters/postgres/incarnation.ts';
import { openPostgres, type Sql } from '../../../src/adapters/postgres/postgres.ts';
import { createFanOut } from '../../../src/features/webhooks/deliveries/fan-out.ts';
import { createDeliveryRepository } from '../../../src/features/webhooks/deliveries/repository.ts';
import { createRetentionRepository } from '../../../src/features/webhooks/retention/repository.ts';
import { type AtlasEvent, toCloudEvent } from '../../../src/utils/event.ts';
import { availableEngines, freshDatabase, openTestDatabase } from '../../support/database.ts';
import { lockWaiters } from '../../support/table-lock.ts';
import { until } from '../../support/until.ts';

const never = new AbortController().signal;

function eventOf(owner: string, key: string, data: AtlasEvent['data'] = {}): AtlasEvent {
  const occurredAt = '2099-01-01T00:00:00.000Z';
  return { owner, type: 'account.opened.v1', key, sequence: 0, occurredAt, data };
}

describe.each(availableEngines())('the bodies of deliveries on the %s PostgreSQL', (engine) => {
  let sql: Sql;
  let db: Database;
  let deliveries: ReturnType<typeof createDeliveryRepository>;
  let incarnation: Incarnation;
  beforeEach(async () => {
    const url = await freshDatabase(engine);
    db = openTestDatabase(url);
    sql = openPostgres({ url, connectionsMax: 4, timeoutSeconds: 10 });
    incarnation = new Incarnation(db);
    deliveries = createDeliveryRepository(db, incarnation);
  }, 60_000);
  afterEach(async () => {
    await incarnation.close();
    await Promise.all([sql.end(), db.end()]);
  });

  const makeWebhooks = async (owner: string, count: number) =>
    (
      await sql<{ id: string }[]>`
        INSERT INTO webhooks (id, owner, url, secret)
        SELECT gen_random_uuid(), ${owner}, 'https://hooks.test/', ${Buffer.alloc(32)} FROM generate_series(1, ${count})
        RETURNING id`
    ).map(({ id }) => id);
  const fanOut = (...events: AtlasEvent[]) =>
    createFanOut(deliveries, new DeferredEvents(db, 'webhooks'))(events, db);
  const bodies = () => sql`SELECT owner, event_id, body FROM webhook_bodies ORDER BY owner, event_id`;
  /** A worker of the release before: it stores a body with each delivery, and reads it from there. */
  const insertAsBefore = (webhookId: string, eventId: string, body: string) => sql`
    INSERT INTO webhook_deliveries (id, webhook_id, event_id, event_type, body)
    VALUES (gen_random_uuid(), ${webhookId}, ${eventId}, 'account.opened.v1', ${body})
    ON CONFLICT (webhook_id, event_id) DO NOTHING`;

  test('are stored once for each event, however many webhooks it goes to', async () => {
    await makeWebhooks('many', 32);
    const event = eventOf('many', 'k', { text: 'x'.repeat(10_000) });
    await fanOut(event);
    const [sizes] = await sql`
      SELECT count(*) AS deliveries, coalesce(sum(length(body)), 0)::int AS own,
        (SELECT sum(length(body))::int FROM webhook_bodies) AS shared FROM webhook_deliveries`;
    const body = JSON.stringify(toCloudEvent(event));
    expect(sizes).toEqual({ deliveries: 32, own: 0, shared: body.length });
    const claims = await deliveries.claim(32, never);
    expect(claims).toHaveLength(32);
    expect(new Set(claims.map((claim) => claim.body))).toEqual(new Set([body]));
  });

  test('belong to their owner: equal ids of two owners have their own', async () => {
    const [[one], [two]] = [await makeWebhooks('one', 1), await makeWebhooks('two', 1)];
    await fanOut(eventOf('one', 'same', { of: 'one' }), eventOf('two', 'same', { of: 'two' }));
    const found = await deliveries.claim(10, never);
    const bodyOf = (id: string) => JSON.parse(found.find(({ webhookId }) => webhookId === id)!.body).data;
    expect([bodyOf(one!), bodyOf(two!)]).toEqual([{ of: 'one' }, { of: 'two' }]);
  });

  test('are the same bytes whenever they are sent again, whatever the event looks like by then', async () => {
    const [first] = await makeWebhooks('steady', 1);
    await fanOut(eventOf('steady', 'k', { version: 1 }));
    await makeWebhooks('steady', 1);
    await fanOut(eventOf('steady', 'k', { version: 1, added: true }));
    const claims = await deliveries.claim(10, never);
    expect(claims.map(({ body }) => JSON.parse(body).data)).toEqual([{ version: 1 }, { version: 1 }]);
    const { id } = claims.find(({ webhookId }) => webhookId === first)!;
    expect(JSON.parse((await deliveries.find(first!, id))!.body).data).toEqual({ version: 1 });
  });

  test('of the release before are read from their deliveries, and it sends those of this one', async () => {
    const [webhookId] = await makeWebhooks('mixed', 1);
    await insertAsBefore(webhookId!, 'old:0', '{"old":true}');
    await fanOut(eventOf('mixed', 'new'));
    await insertAsBefore(webhookId!, 'new:0', '{"old":true}');
    const rows = await sql<{ id: string; eventId: string; body: string }[]>`
      SELECT id, event_id, body FROM claim_webhook_deliveries(10, 8, 32, 60000)`;
    expect(Object.fromEntries(rows.map(({ eventId, body }) => [eventId, JSON.parse(body)]))).toEqual({
      'old:0': { old: true },
      'new:0': toCloudEvent(eventOf('mixed', 'new')),
    });
    const { id } = rows.find(({ eventId }) => eventId === 'old:0')!;
    expect((await deliveries.find(webhookId!, id))!.body).toBe('{"old":true}');
  });

  test('are deleted after the last delivery that needs them, and not before', async () => {
    const [webhookId] = await makeWebhooks('aging', 1);
    await fanOut(eventOf('aging', 'gone'), eventOf('aging', 'needed'), eventOf('aging', 'young'));
    const age = (eventId: string, table: 'webhook_bodies' | 'webhook_deliveries', days: number) => sql`
      UPDATE ${sql(table)} SET created_at = now() - make_interval(days => ${days}) WHERE event_id = ${eventId}`;
    await age('gone:0', 'webhook_bodies', 32);
    await age('gone:0', 'webhook_deliveries', 32);
    await age('needed:0', 'webhook_bodies', 32);
    await createRetentionRepository(db, 30).forget();
    expect((await bodies()).map(({ eventId }) => eventId)).toEqual(['needed:0', 'young:0']);
    // Sending an old event again needs its body for another thirty days.
    await age('needed:0', 'webhook_deliveries', 40);
    await makeWebhooks('aging', 1);
    await fanOut(eventOf('aging', 'needed'));
    await sql`DELETE FROM webhook_deliveries WHERE webhook_id <> ${webhookId!}`;
    await createRetentionRepository(db, 30).forget();
    expect((await bodies()).map(({ eventId }) => eventId)).toEqual(['needed:0', 'young:0']);
  });

  test('stay when they are sent again just while old ones are being deleted', async () => {
    await makeWebhooks('late', 1);
    await fanOut(eventOf('late', 'again'));
    await sql`DELETE FROM webhook_deliveries`;
    await sql`UPDATE webhook_bodies SET created_at = now() - interval '32 days'`;
    const commit = Promise.withResolvers<void>();
    const sending = db.transaction(async (tx) => {
      await createFanOut(deliveries, new DeferredEvents(db, 'webhooks'))([eventOf('late', 'again')], tx);
      await commit.promise;
    });
    // The row is locked before the deletion starts, which then waits for it.
    await until(async () => (await sql`SELECT FROM webhook_bodies FOR UPDATE SKIP LOCKED`).length === 0);
    const forgetting = createRetentionRepository(db, 30).forget();
    await until(async () => (await lockWaiters(sql)) > 0);
    commit.resolve();
    await Promise.all([sending, forgetting]);
    expect((await deliveries.claim(1, never)).map(({ body }) => JSON.parse(body))).toEqual([
      toCloudEvent(eventOf('late', 'again')),
    ]);
  });

  test('a test event has one too', async () => {
    const [webhookId] = await makeWebhooks('tester', 1);
    const delivery = { id: crypto.randomUUID(), owner: 'tester', webhookId: webhookId!, eventId: 'x:0' };
    const added = await deliveries.add({ ...delivery, eventType: 'webhook.test.v1', body: '{"a":1}' }, 9);
    expect((await deliveries.find(webhookId!, added.id))!.body).toBe('{"a":1}');
    expect(await deliveries.claim(1, never)).toMatchObject([{ body: '{"a":1}', tries: 10 }]);
  });
});
