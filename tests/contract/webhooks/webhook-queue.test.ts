import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { DeferredEvents } from '../../../src/adapters/event-log/deferred-events.ts';
import { OutgoingHttp } from '../../../src/adapters/http/outgoing-http.ts';
import type { Database } from '../../../src/adapters/postgres/database.ts';
import { Incarnation } from '../../../src/adapters/postgres/incarnation.ts';
import { openPostgres, type Sql } from '../../../src/adapters/postgres/postgres.ts';
import type { Queryable } from '../../../src/adapters/postgres/query.ts';
import { DeliverySender } from '../../../src/features/webhooks/deliveries/delivery-sender.ts';
import { type AttemptResult, type Claim, decide } from '../../../src/features/webhooks/deliveries/domain.ts';
import { createFanOut } from '../../../src/features/webhooks/deliveries/fan-out.ts';
import { createDeliveryRepository } from '../../../src/features/webhooks/deliveries/repository.ts';
import { createRetentionRepository } from '../../../src/features/webhooks/retention/repository.ts';
import type { AtlasEvent } from '../../../src/utils/event.ts';
import { availableEngines, freshDatabase, openTestDatabase } from '../../support/database.ts';
import { startReceiver } from '../../support/webhook-receiver.ts';
import { noneSealed } from '../../support/webhook-steps.ts';

const never = new AbortController().signal;
const success: AttemptResult = { durationMs: 3, status: 200, failure: null, retryAfter: null };
const failure: AttemptResult = { durationMs: 3, status: 500, failure: 'status', retryAfter: null };
const verdictOf = (result: AttemptResult) => decide(result, 1, Date.now(), 0.5);
const eventsOf = (owner: string, count: number): AtlasEvent[] =>
  Array.from({ length: count }, (_, sequence) => ({
    owner,
    type: 'account.opened.v1',
    key: owner,
    sequence,
    occurredAt: '2099-01-01T00:00:00.000Z',
    data: {},
  }));

describe.each(availableEngines())('the queue of deliveries on the %s PostgreSQL', (engine) => {
  let sql: Sql;
  let here: ReturnType<typeof createDeliveryRepository>;
  let there: ReturnType<typeof createDeliveryRepository>;
  let databases: Database[];
  beforeEach(async () => {
    const url = await freshDatabase(engine);
    databases = [0, 1].map(() => openTestDatabase(url, { connectionsMax: 4, timeoutSeconds: 10 }));
    sql = openPostgres({ url, connectionsMax: 4, timeoutSeconds: 10 });
    [here, there] = databases.map((db) => createDeliveryRepository(db, new Incarnation(db))) as [
      typeof here,
      typeof there,
    ];
  }, 60_000);
  afterEach(() => Promise.all([sql, ...databases].map((opened) => opened.end())));

  /** Creates a webhook of a new owner, with due deliveries. */
  async function makeWebhook(
    owner: string,
    deliveries: number,
    target = 'https://hooks.test/',
  ): Promise<string> {
    const [row] = await sql`
      INSERT INTO webhooks (id, owner, url, secret)
      VALUES (gen_random_uuid(), ${owner}, ${target}, ${Buffer.alloc(32)}) RETURNING id`;
    await fanOut(eventsOf(owner, deliveries));
    return row!.id;
  }
  const fanOut = (events: readonly AtlasEvent[], tx: Queryable = databases[0]!) =>
    createFanOut(here, new DeferredEvents(databases[0]!, 'webhooks'))(events, tx);
  /** Claims all deliveries, with two hosts concurrently. */
  async function claimAll(): Promise<Claim[]> {
    const claimed: Claim[] = [];
    for (let idle = 0; idle < 2; ) {
      const both = await Promise.all([here.claim(10, never), there.claim(10, never)]);
      claimed.push(...both.flat());
      idle = both.flat().length === 0 ? idle + 1 : 0;
    }
    return claimed;
  }
  const countBy = (claims: readonly Claim[]) =>
    Object.fromEntries(
      Object.entries(Object.groupBy(claims, (c) => c.webhookId)).map(([id, of]) => [id, of!.length]),
    );
  const stateOf = async (id: string) =>
    (
      await sql`SELECT state, attempts, tries, leased_until IS NOT NULL AS leased FROM webhook_deliveries WHERE id = ${id}`
    )[0];
  const loseLeases = () => sql`
    UPDATE webhook_deliveries SET leased_until = now(), next_attempt_at = now() WHERE leased_until IS NOT NULL`;

  test('gives each delivery to one host, and eight of a webhook at a time to all hosts together', async () => {
    const ids = await Promise.all(Array.from({ length: 12 }, (_, i) => makeWebhook(`owner-${i}`, 20)));
    const claims = await claimAll();
    expect(new Set(claims.map(({ id }) => id)).size).toBe(claims.length);
    expect(countBy(claims)).toEqual(Object.fromEntries(ids.map((id) => [id, 8])));
    await here.settle(claims[0]!, success, verdictOf(success));
    expect(await claimAll()).toHaveLength(1);
  });

  test('lets webhooks take turns, however long the queue of one is', async () => {
    await makeWebhook('greedy', 500);
    const modest = await Promise.all(Array.from({ length: 5 }, (_, i) => makeWebhook(`modest-${i}`, 1)));
    await sql`UPDATE webhook_deliveries SET next_attempt_at = now() - interval '1 day' WHERE event_id LIKE 'greedy%'`;
    const claims: Claim[] = [];
    for (let i = 0; i < 6; i++) {
      const round = await here.claim(4, never);
      claims.push(...round);
      for (const claim of round) await here.settle(claim, success, verdictOf(success));
    }
    expect(countBy(claims)).toMatchObject(Object.fromEntries(modest.map((id) => [id, 1])));
  });

  test('gives a failing webhook one slot until an attempt succeeds', async () => {
    await makeWebhook('failing', 20);
    const claims = await claimAll();
    expect(claims).toHaveLength(8);
    for (const claim of claims) await here.settle(claim, failure, verdictOf(failure));
    const [next, ...more] = await claimAll();
    expect(more).toEqual([]);
    await here.settle(next!, success, verdictOf(success));
    expect(await claimAll()).toHaveLength(8);
  });

  test('gives a delivery to another host when a lease has expired, and ignores the old host from then on', async () => {
    await makeWebhook('slow', 1);
    const [lost] = await here.claim(1, never);
    expect(await there.claim(1, never)).toEqual([]);
    await loseLeases();
    const [claim] = await there.claim(1, never);
    expect(claim).toMatchObject({ id: lost!.id, attempts: 2, tries: 2 });
    await here.settle(lost!, success, verdictOf(success));
    await here.release(lost!);
    expect(await stateOf(lost!.id)).toEqual({ state: 'pending', attempts: 2, tries: 2, leased: true });
    await there.settle(claim!, failure, verdictOf(failure));
    await there.settle(claim!, success, verdictOf(success));
    expect(await stateOf(lost!.id)).toEqual({ state: 'pending', attempts: 2, tries: 2, leased: false });
    expect(await sql`SELECT number, failure FROM webhook_attempts`).toMatchObject([
      { number: 2, failure: 'status' },
    ]);
  });

  test('a released claim is due immediately, and no attempt is lost', async () => {
    await makeWebhook('given-back', 1);
    const [claim] = await here.claim(1, never);
    await here.release(claim!);
    expect(await stateOf(claim!.id)).toEqual({ state: 'pending', attempts: 1, tries: 0, leased: false });
    expect(await there.claim(1, never)).toMatchObject([{ id: claim!.id, attempts: 2, tries: 1 }]);
  });

  test('gives no delivery of a disabled or deleted webhook', async () => {
    const off = await makeWebhook('off', 3);
    const gone = await makeWebhook('gone', 3);
    await sql`UPDATE webhooks SET enabled = false, deleted_at = CASE WHEN id = ${gone} THEN now() END WHERE id IN (${off}, ${gone})`;
    expect(await claimAll()).toEqual([]);
    await sql`UPDATE webhooks SET enabled = true WHERE id = ${off}`;
    expect(countBy(await claimAll())).toEqual({ [off]: 3 });
  });

  test('a failure at a URL that was changed in the meantime does not count', async () => {
    const id = await makeWebhook('moved', 1);
    const [claim] = await here.claim(1, never);
    await sql`UPDATE webhooks SET url = 'https://new.test/' WHERE id = ${id}`;
    const gone = { ...failure, status: 410 };
    expect(await here.settle(claim!, gone, verdictOf(gone))).toEqual({ disabled: false });
    expect(await sql`SELECT enabled, failing_since FROM webhooks`).toMatchObject([
      { enabled: true, failingSince: null },
    ]);
    expect(await stateOf(claim!.id)).toMatchObject({ state: 'pending', leased: false });
  });

  test('several concurrent failures disable a webhook once, with one event', async () => {
    const id = await makeWebhook('doomed', 8);
    const claims = await here.claim(8, never);
    await sql`UPDATE webhooks SET failing_since = now() - interval '6 days'`;
    const settled = await Promise.all(
      claims.map((claim, i) => (i % 2 ? here : there).settle(claim, failure, verdictOf(failure))),
    );
    expect(settled.filter(({ disabled }) => disabled)).toHaveLength(1);
    expect(await sql`SELECT type, key, sequence, owner FROM outbox`).toMatchObject([
      { type: 'webhook.disabled.v1', key: id, sequence: 1, owner: 'doomed' },
    ]);
  });

  test('events become deliveries once, and not in a transaction that fails', async () => {
    await makeWebhook('once', 0);
    const count = async () => (await sql`SELECT count(*) AS n FROM webhook_deliveries`)[0]!.n;
    const failing = databases[0]!.transaction(async (tx) => {
      await fanOut(eventsOf('once', 3), tx);
      throw new Error('the consumer failed');
    });
    await expect(failing).rejects.toThrow('the consumer failed');
    expect(await count()).toBe(0);
    for (let i = 0; i < 2; i++) await databases[0]!.transaction((tx) => fanOut(eventsOf('once', 2500), tx));
    expect(await count()).toBe(2500);
  });

  test('deletes deliveries after thirty days, and deleted webhooks with all of theirs, and nothing else', async () => {
    const kept = await makeWebhook('kept', 3);
    const deleted = await makeWebhook('deleted', 2300);
    await sql`UPDATE webhook_deliveries SET created_at = now() - interval '30 days 1 minute' WHERE event_id = 'kept:0'`;
    await sql`UPDATE webhooks SET enabled = false, deleted_at = now() - interval '2 hours' WHERE id = ${deleted}`;
    const [claim] = await here.claim(1, never);
    await here.settle(claim!, success, verdictOf(success));
    await createRetentionRepository(databases[0]!, 30).forget();
    expect((await sql`SELECT event_id FROM webhook_deliveries ORDER BY 1`).map((row) => row.eventId)).toEqual(
      ['kept:1', 'kept:2'],
    );
    expect((await sql`SELECT id FROM webhooks`).map(({ id }) => id)).toEqual([kept]);
  });

  test('deletes very many deleted webhooks in bounded steps', async () => {
    await sql`
      INSERT INTO webhooks (id, owner, url, secret, enabled, deleted_at)
      SELECT gen_random_uuid(), 'many', 'https://hooks.test/', ${Buffer.alloc(32)}, false, now() - interval '2 hours'
      FROM generate_series(1, 2500)`;
    await sql`
      INSERT INTO webhook_deliveries (id, webhook_id, event_id, event_type, body)
      SELECT gen_random_uuid(), id, 'many:0', 'account.opened.v1', '{}' FROM webhooks`;
    // Ends a statement that deletes more than a step.
    await sql.unsafe(`
      CREATE FUNCTION refuse_large() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        IF (SELECT count(*) FROM gone) > 1000 THEN RAISE EXCEPTION 'a step is too large'; END IF;
        RETURN NULL;
      END $$;
      CREATE TRIGGER refuse_large AFTER DELETE ON webhooks REFERENCING OLD TABLE AS gone
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_large();`);
    await createRetentionRepository(databases[0]!, 30).forget();
    expect((await sql`SELECT FROM webhook_deliveries`).count).toBe(0);
    expect((await sql`SELECT FROM webhooks`).count).toBe(0);
  });

  test('a stopped sender ends soon, and releases attempts without a response', async () => {
    const receiver = startReceiver();
    const pending = Promise.withResolvers<Response>();
    receiver.respond = () => pending.promise.then((response) => response.clone());
    try {
      await makeWebhook('stopped', 3, receiver.url);
      const errors: unknown[] = [];
      const http = new OutgoingHttp({ allowedHosts: ['127.0.0.1'] });
      const sender = new DeliverySender(here, http, noneSealed, (error) => errors.push(error));
      const controller = new AbortController();
      const run = sender.run(controller.signal);
      await receiver.arrived(3);
      expect(sender.stats().inFlight).toBe(3);
      controller.abort();
      await run;
      expect([sender.stats().inFlight, errors]).toEqual([0, []]);
      const rows = await sql`SELECT DISTINCT state, tries, leased_until FROM webhook_deliveries`;
      expect(rows).toMatchObject([{ state: 'pending', tries: 0, leasedUntil: null }]);
      const again = new AbortController();
      const rerun = sender.run(again.signal);
      const received = await receiver.arrived(6);
      const ids = received.map(({ headers }) => headers['webhook-id']);
      expect(new Set(ids.slice(0, 3))).toEqual(new Set(ids.slice(3)));
      pending.resolve(new Response());
      again.abort();
      await rerun;
      expect(await sql`SELECT DISTINCT state FROM webhook_deliveries`).toMatchObject([
        { state: 'delivered' },
      ]);
    } finally {
      pending.resolve(new Response());
      await receiver.stop();
    }
  });
});
