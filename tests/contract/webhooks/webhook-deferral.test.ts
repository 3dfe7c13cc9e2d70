import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { DeferredEvents } from '../../../src/adapters/event-log/deferred-events.ts';
import type { Database } from '../../../src/adapters/postgres/database.ts';
import { Incarnation } from '../../../src/adapters/postgres/incarnation.ts';
import { openPostgres, type Sql } from '../../../src/adapters/postgres/postgres.ts';
import { createRelayRepository } from '../../../src/features/events/relay/repository.ts';
import { createRetentionRepository } from '../../../src/features/events/retention/repository.ts';
import { createDeferredFanOut, createFanOut } from '../../../src/features/webhooks/deliveries/fan-out.ts';
import { createDeliveryRepository } from '../../../src/features/webhooks/deliveries/repository.ts';
import { type AtlasEvent, toCloudEvent } from '../../../src/utils/event.ts';
import { availableEngines, freshDatabase, openTestDatabase } from '../../support/database.ts';
import { until } from '../../support/until.ts';

const never = new AbortController().signal;
const OCCURRED_AT = '2099-01-01T00:00:00.000Z';
const eventsOf = (owner: string, count: number, first = 0, padding = ''): AtlasEvent[] =>
  Array.from({ length: count }, (_, n) => ({
    owner,
    type: 'account.opened.v1',
    key: owner,
    sequence: first + n,
    occurredAt: OCCURRED_AT,
    data: { n: first + n, padding },
  }));

describe.each(availableEngines())('events of owners with many webhooks, on the %s PostgreSQL,', (engine) => {
  type Host = ReturnType<typeof hostOf>;
  let sql: Sql;
  let here: Host;
  let there: Host;
  beforeEach(async () => {
    const url = await freshDatabase(engine);
    [here, there] = [hostOf(url), hostOf(url)];
    sql = openPostgres({ url, connectionsMax: 4, timeoutSeconds: 30 });
  }, 60_000);
  afterEach(() => Promise.all([sql.end(), here.db.end(), there.db.end()]));

  function hostOf(url: string) {
    const db: Database = openTestDatabase(url, { connectionsMax: 4, timeoutSeconds: 30 });
    const deliveries = createDeliveryRepository(db, new Incarnation(db));
    const deferred = new DeferredEvents(db, 'webhooks');
    const handle = createDeferredFanOut(deliveries);
    return { db, deliveries, deferred, handle, turn: () => deferred.turn(handle) };
  }
  const makeWebhooks = (owner: string, count: number) => sql`
    INSERT INTO webhooks (id, owner, url, secret)
    SELECT gen_random_uuid(), ${owner}, 'https://hooks.test/', ${Buffer.alloc(32)} FROM generate_series(1, ${count})`;
  /** Appends events to the log, as the relay does. */
  const append = (events: readonly AtlasEvent[]) => sql`
    WITH numbered AS (
      UPDATE relay SET last_position = last_position + ${events.length} RETURNING last_position - ${events.length} AS before
    )
    INSERT INTO events (position, owner, type, key, sequence, occurred_at, data)
    SELECT before + n, owner, type, key, sequence, occurred_at::timestamptz, data::jsonb FROM numbered,
      unnest(${events.map((e) => e.owner)}::text[], ${events.map((e) => e.type)}::text[],
        ${events.map((e) => e.key)}::text[], ${events.map((e) => e.sequence)}::bigint[],
        ${events.map((e) => e.occurredAt)}::text[], ${events.map((e) => JSON.stringify(e.data))}::text[])
      WITH ORDINALITY e(owner, type, key, sequence, occurred_at, data, n)`;
  /** Passes events to the fan-out in one batch. */
  const handle = (events: readonly AtlasEvent[]) =>
    here.db.transaction((tx) => createFanOut(here.deliveries, here.deferred)(events, tx));
  async function fanOut(...events: AtlasEvent[]) {
    await append(events);
    await handle(events);
  }
  const turnAll = async () => {
    while (await here.turn());
  };
  const deliveriesTo = async (owner: string) =>
    (
      await sql`SELECT FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook_id WHERE w.owner = ${owner}`
    ).count;
  const deferredOf = async (owner: string) =>
    Number(
      (
        await sql`SELECT coalesce(sum(cardinality(positions)), 0) AS n FROM deferred_events WHERE owner = ${owner}`
      )[0]!.n,
    );

  test('are deferred, so that those of others become deliveries at once, and a batch a bounded number', async () => {
    const greedy = Array.from({ length: 6 }, (_, n) => `greedy-${n}`);
    for (const owner of [...greedy, 'modest']) await makeWebhooks(owner, 20);
    for (let batch = 0; batch < 4; batch++) {
      const many = greedy.flatMap((owner) => eventsOf(owner, 80, batch * 80));
      await fanOut(...many, ...eventsOf('modest', 5, batch * 5));
      expect(await deliveriesTo('modest')).toBe((batch + 1) * 100);
      expect((await sql`SELECT FROM webhook_deliveries`).count).toBeLessThanOrEqual((batch + 1) * 1485);
    }
    expect(await deferredOf('modest')).toBe(0);
    for (const owner of greedy) expect(await deferredOf(owner)).toBe(320);
  });

  test('are not deferred if they go to one webhook each, however many they are', async () => {
    await makeWebhooks('single', 1);
    await fanOut(...eventsOf('single', 2500));
    expect([await deliveriesTo('single'), await deferredOf('single')]).toEqual([2500, 0]);
  });

  test('become deliveries in turns of the owners, however many events one of them has', async () => {
    for (const owner of ['a-greedy', 'a-modest', 'z-modest']) await makeWebhooks(owner, 20);
    await fanOut(...eventsOf('a-greedy', 3000));
    await fanOut(...eventsOf('a-modest', 90));
    await fanOut(...eventsOf('z-modest', 90));
    for (let turn = 0; turn < 6; turn++) await here.turn();
    expect([await deferredOf('a-modest'), await deferredOf('z-modest')]).toEqual([0, 0]);
    expect(await deferredOf('a-greedy')).toBe(2900);
  });

  test('become each delivery exactly once, with the body of the event, the oldest first', async () => {
    await makeWebhooks('greedy', 20);
    await fanOut(...eventsOf('greedy', 120));
    await here.turn();
    const first = await sql<{ eventId: string }[]>`SELECT DISTINCT event_id FROM webhook_deliveries`;
    expect(first.map(({ eventId }) => Number(eventId.split(':')[1])).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 50 }, (_, n) => n),
    );
    await turnAll();
    const rows = await sql`
      SELECT event_id, count(*)::int AS deliveries, count(DISTINCT webhook_id)::int AS webhooks
      FROM webhook_deliveries GROUP BY event_id`;
    expect(rows).toHaveLength(120);
    for (const row of rows) expect(row).toMatchObject({ deliveries: 20, webhooks: 20 });
    const claims = await here.deliveries.claim(32, never);
    expect(claims).not.toBeEmpty();
    for (const { eventId, body } of claims) {
      const event = eventsOf('greedy', 1, Number(eventId.split(':')[1]))[0]!;
      expect(JSON.parse(body)).toEqual(JSON.parse(JSON.stringify(toCloudEvent(event))));
    }
  });

  test('that are large take more turns, and none is lost', async () => {
    await makeWebhooks('greedy', 20);
    await fanOut(...eventsOf('greedy', 70, 0, 'x'.repeat(60_000)));
    await here.turn();
    expect(await deferredOf('greedy')).toBeWithin(45, 60);
    await turnAll();
    expect(await deliveriesTo('greedy')).toBe(1400);
  });

  test('are neither lost nor delivered twice if a worker dies in between, and others have their turn first', async () => {
    for (const owner of ['a-greedy', 'b-modest']) await makeWebhooks(owner, 20);
    await fanOut(...eventsOf('a-greedy', 200));
    await fanOut(...eventsOf('b-modest', 80));
    const dying = here.deferred.turn(async (events, tx) => {
      await here.handle(events, tx);
      throw new Error('the worker died');
    });
    await expect(dying).rejects.toThrow('the worker died');
    expect([await deliveriesTo('a-greedy'), await deferredOf('a-greedy')]).toEqual([0, 200]);
    await here.turn();
    expect([await deliveriesTo('b-modest'), await deliveriesTo('a-greedy')]).toEqual([1000, 0]);
    await turnAll();
    expect([await deliveriesTo('a-greedy'), await deferredOf('a-greedy')]).toEqual([4000, 0]);
  });

  test('are handled once, although several hosts do so at the same time', async () => {
    await makeWebhooks('greedy', 20);
    for (let batch = 0; batch < 3; batch++) await fanOut(...eventsOf('greedy', 100, batch * 100));
    const handled: number[] = [];
    const stop = new AbortController();
    const running = [here, there].map(({ deferred, handle }) =>
      deferred.run(async (events, tx) => {
        await handle(events, tx);
        handled.push(...events.map(({ sequence }) => sequence));
      }, stop.signal),
    );
    await until(async () => (await deferredOf('greedy')) === 0);
    stop.abort();
    await Promise.all(running);
    expect(handled.sort((a, b) => a - b)).toEqual(Array.from({ length: 300 }, (_, n) => n));
    expect(await deliveriesTo('greedy')).toBe(6000);
  });

  test('stay behind the earlier ones of their owner until these are deliveries', async () => {
    await makeWebhooks('greedy', 20);
    await fanOut(...eventsOf('greedy', 100));
    await fanOut(...eventsOf('greedy', 1, 100));
    expect([await deliveriesTo('greedy'), await deferredOf('greedy')]).toEqual([0, 101]);
    await turnAll();
    await fanOut(...eventsOf('greedy', 1, 101));
    expect([await deliveriesTo('greedy'), await deferredOf('greedy')]).toEqual([102 * 20, 0]);
  });

  test('take no room of those of others while earlier ones of their owner are deferred', async () => {
    for (const owner of ['greedy', 'modest']) await makeWebhooks(owner, 20);
    await fanOut(...eventsOf('greedy', 100));
    await fanOut(...eventsOf('greedy', 40, 100), ...eventsOf('modest', 50));
    expect([await deliveriesTo('modest'), await deferredOf('greedy')]).toEqual([1000, 140]);
  });

  test('that Kafka had before the table has them are not deferred, as they could not be found later', async () => {
    await makeWebhooks('greedy', 20);
    const [marked, unmarked] = [eventsOf('greedy', 80), eventsOf('greedy', 5, 80)];
    await append(marked);
    await handle([...marked, ...unmarked]);
    expect([await deliveriesTo('greedy'), await deferredOf('greedy')]).toEqual([100, 80]);
    await append(unmarked);
    await turnAll();
    expect(await deliveriesTo('greedy')).toBe(1700);
  });

  test('that a replay has sent meanwhile, or a host of the release before, are not sent again', async () => {
    await makeWebhooks('greedy', 20);
    await fanOut(...eventsOf('greedy', 80));
    await sql`
      INSERT INTO webhook_deliveries (id, webhook_id, event_id, event_type, body, state)
      SELECT gen_random_uuid(), id, 'greedy:7', 'account.opened.v1', '{}', 'delivered' FROM webhooks`;
    await turnAll();
    expect(await deliveriesTo('greedy')).toBe(1600);
    expect((await sql`SELECT FROM webhook_deliveries WHERE state = 'delivered'`).count).toBe(20);
  });

  test('go to the webhooks that are enabled by then and existed when they happened, or to none', async () => {
    await makeWebhooks('greedy', 20);
    await fanOut(...eventsOf('greedy', 80));
    const [off] = await sql`
      UPDATE webhooks SET enabled = false WHERE id = (SELECT id FROM webhooks LIMIT 1) RETURNING id`;
    await makeWebhooks('greedy', 1);
    const [late] = await sql`
      UPDATE webhooks SET created_at = '2099-01-01T00:00:00.001Z'
      WHERE id = (SELECT id FROM webhooks ORDER BY created_at DESC LIMIT 1) RETURNING id`;
    await here.turn();
    const ids = [off!.id, late!.id];
    expect((await sql`SELECT FROM webhook_deliveries WHERE webhook_id = ANY (${ids}::uuid[])`).count).toBe(0);
    expect(await deliveriesTo('greedy')).toBe(19 * 50);
    await sql`UPDATE webhooks SET enabled = false`;
    await turnAll();
    expect([await deliveriesTo('greedy'), await deferredOf('greedy')]).toEqual([19 * 50, 0]);
  });

  test('are not deleted while they are deferred, whatever their age, and operators see them', async () => {
    await makeWebhooks('greedy', 20);
    const old = (event: AtlasEvent) => ({ ...event, occurredAt: '2020-01-01T00:00:00.000Z' });
    await sql`UPDATE webhooks SET created_at = '2019-01-01'`;
    await sql`UPDATE schema_migrations SET applied_at = '2019-01-01'`;
    await fanOut(...[...eventsOf('other', 3), ...eventsOf('greedy', 90)].map(old));
    await sql`INSERT INTO consumer_offsets (consumer, partition, position) VALUES ('webhooks', -1, 93)`;
    await sql`INSERT INTO inbox (consumer, key, sequence) VALUES ('webhooks', 'other', 2), ('webhooks', 'greedy', 89)`;
    const retention = createRetentionRepository(here.db);
    const relay = createRelayRepository(here.db, new Incarnation(here.db));
    expect(await retention.forget(90, 2000)).toMatchObject({ forgotten: 3, unreadBy: 'webhooks' });
    const { deferred, oldestUnreadBy } = await relay.status();
    expect(deferred).toMatchObject([{ consumer: 'webhooks', owners: 1, events: 90 }]);
    expect(oldestUnreadBy).toBe('webhooks');
    await turnAll();
    expect(await deliveriesTo('greedy')).toBe(1800);
    expect(await relay.status()).toMatchObject({ deferred: [], oldestUnreadBy: null });
    expect(await retention.forget(90, 2000)).toMatchObject({ forgotten: 89, unreadBy: null });
  });
});
