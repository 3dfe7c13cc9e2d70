import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { OutgoingHttp } from '../../../src/adapters/http/outgoing-http.ts';
import type { Database } from '../../../src/adapters/postgres/database.ts';
import { Incarnation } from '../../../src/adapters/postgres/incarnation.ts';
import { openPostgres, type Sql } from '../../../src/adapters/postgres/postgres.ts';
import { DeliverySender } from '../../../src/features/webhooks/deliveries/delivery-sender.ts';
import {
  type AttemptResult,
  type Claim,
  decide,
  TRIES_MAX,
} from '../../../src/features/webhooks/deliveries/domain.ts';
import { createDeliveryRepository } from '../../../src/features/webhooks/deliveries/repository.ts';
import { createRetentionRepository } from '../../../src/features/webhooks/retention/repository.ts';
import { freshDatabase, openTestDatabase } from '../../support/database.ts';
import { until } from '../../support/until.ts';
import { startReceiver } from '../../support/webhook-receiver.ts';
import { noneSealed } from '../../support/webhook-steps.ts';

const never = new AbortController().signal;
const success: AttemptResult = { durationMs: 3, status: 200, failure: null, retryAfter: null };
const failure: AttemptResult = { durationMs: 3, status: 500, failure: 'status', retryAfter: null };

let sql: Sql;
let db: Database;
let url: string;
let deliveries: ReturnType<typeof createDeliveryRepository>;
beforeEach(async () => {
  url = await freshDatabase();
  sql = openPostgres({ url, connectionsMax: 4, timeoutSeconds: 10 });
  db = openTestDatabase(url, { connectionsMax: 4, timeoutSeconds: 10 });
  deliveries = createDeliveryRepository(db, new Incarnation(db));
}, 60_000);
afterEach(() => Promise.all([sql.end(), db.end()]));

/** Creates a webhook with this many due deliveries. */
async function makeWebhook(owner: string, due: number, url = 'https://hooks.test/'): Promise<string> {
  const [row] = await sql`
    INSERT INTO webhooks (id, owner, url, secret) VALUES (gen_random_uuid(), ${owner}, ${url}, ${Buffer.alloc(32)})
    RETURNING id`;
  await sql`
    INSERT INTO webhook_deliveries (id, webhook_id, event_id, event_type, body)
    SELECT gen_random_uuid(), ${row!.id}, ${owner} || ':' || n, 'account.opened.v1', '{}' FROM generate_series(1, ${due}) n`;
  return row!.id;
}
const claim = (free: number) => deliveries.claim(free, never);
const settle = (claimed: Claim, result: AttemptResult) =>
  deliveries.settle(claimed, result, decide(result, claimed.tries, Date.now(), 0.5));
const webhookOf = async (id: string) =>
  (await sql`SELECT enabled, failing_since, disabled_count FROM webhooks WHERE id = ${id}`)[0]!;
const deliveryOf = async (id: string) =>
  (
    await sql`SELECT state, tries, next_attempt_at <= now() AS is_due FROM webhook_deliveries WHERE id = ${id}`
  )[0]!;

describe('the delivery slots', () => {
  test('are never all taken by one owner, however many slow webhooks it has', async () => {
    for (let i = 0; i < 20; i++) await makeWebhook('greedy', 10);
    const taken: Claim[] = [];
    for (let found = [null] as unknown[]; found.length > 0; ) {
      found = await claim(64 - taken.length);
      taken.push(...(found as Claim[]));
    }
    expect(taken).toHaveLength(32);
    const modest = await makeWebhook('modest', 3);
    expect((await claim(32)).map(({ webhookId }) => webhookId)).toEqual([modest, modest, modest]);
    await settle(taken[0]!, success);
    expect(await claim(32)).toHaveLength(1);
  });

  test('go to working webhooks before failing ones, which still get their turn', async () => {
    const failing = await Promise.all(Array.from({ length: 5 }, (_, i) => makeWebhook(`failing-${i}`, 5)));
    const working = await makeWebhook('working', 5);
    await sql`UPDATE webhooks SET claimed_at = now() - interval '30 seconds'`;
    await sql`UPDATE webhooks SET failing_since = now(), failed_at = now() WHERE id = ANY (${failing}::uuid[])`;
    await sql`UPDATE webhooks SET claimed_at = now() WHERE id = ${working}`;
    expect((await claim(1)).map(({ webhookId }) => webhookId)).toEqual([working]);
    await sql`UPDATE webhooks SET claimed_at = now() - interval '2 minutes' WHERE id = ${failing[3]!}`;
    expect((await claim(1)).map(({ webhookId }) => webhookId)).toEqual([failing[3]!]);
  });
});

describe('an attempt of a host that lost its lease', () => {
  test.each([
    ['a success', success],
    ['a failure', failure],
    ['a 410', { ...failure, status: 410 }],
  ])('is ignored when it ends as %s', async (_what, result) => {
    const id = await makeWebhook('paused', 1);
    const [old] = await claim(1);
    await sql`UPDATE webhook_deliveries SET leased_until = now(), next_attempt_at = now()`;
    const [again] = await claim(1);
    if (result === success) await sql`UPDATE webhooks SET failing_since = now(), failed_at = now()`;
    const before = await webhookOf(id);
    expect(await settle(old!, result)).toEqual({ disabled: false });
    expect(await webhookOf(id)).toEqual(before);
    await settle(again!, failure);
    expect((await webhookOf(id)).failingSince).not.toBeNull();
  });
});

describe('a replay that is requested during an attempt', () => {
  test.each([1, TRIES_MAX])(
    'starts a new round immediately when attempt %p of the old one fails',
    async (tries) => {
      const id = await makeWebhook('replayed', 1);
      await sql`UPDATE webhook_deliveries SET tries = ${tries - 1}`;
      const [running] = await claim(1);
      await deliveries.replay(id, running!.id);
      await settle(running!, failure);
      expect(await deliveryOf(running!.id)).toEqual({ state: 'pending', tries: 0, isDue: true });
      expect(await claim(1)).toMatchObject([{ id: running!.id, tries: 1 }]);
    },
  );

  test('is not sent again when that attempt succeeds', async () => {
    const id = await makeWebhook('replayed', 1);
    const [running] = await claim(1);
    await deliveries.replay(id, running!.id);
    await settle(running!, success);
    expect(await deliveryOf(running!.id)).toMatchObject({ state: 'delivered' });
  });

  test('has all its attempts when that one was released', async () => {
    const id = await makeWebhook('replayed', 1);
    const [running] = await claim(1);
    await deliveries.replay(id, running!.id);
    await deliveries.release(running!);
    const [next] = await claim(1);
    expect(next!.tries).toBe(1);
    await settle(next!, failure);
    expect(await deliveryOf(running!.id)).toMatchObject({ state: 'pending' });
  });
});

describe('five days of failures', () => {
  const failOnce = async (id: string) => {
    await sql`
      INSERT INTO webhook_deliveries (id, webhook_id, event_id, event_type, body)
      SELECT gen_random_uuid(), ${id}, gen_random_uuid()::text, 'account.opened.v1', '{}'`;
    const [claimed] = await claim(1);
    return (await settle(claimed!, failure)).disabled;
  };
  const pass = (interval: string) => sql`
    UPDATE webhooks SET failing_since = failing_since - ${interval}::interval, failed_at = failed_at - ${interval}::interval`;

  test('are not two failures a week apart', async () => {
    const id = await makeWebhook('quiet', 0);
    expect(await failOnce(id)).toBe(false);
    await pass('7 days');
    expect(await failOnce(id)).toBe(false);
    const { enabled, failingSince } = await webhookOf(id);
    expect([enabled, Date.now() - failingSince.getTime() < 3_600_000]).toEqual([true, true]);
  });

  test('are failures a day apart', async () => {
    const id = await makeWebhook('broken', 0);
    const disabled: boolean[] = [];
    for (let day = 0; day <= 5; day++) {
      disabled.push(await failOnce(id));
      await pass('1 day');
    }
    expect(disabled).toEqual([false, false, false, false, false, true]);
  });
});

test('deliveries are sent even if the backlog cannot be measured', async () => {
  const receiver = startReceiver();
  try {
    await makeWebhook('counted', 2, receiver.url);
    const errors: unknown[] = [];
    const counting = Promise.withResolvers<never>();
    const repository = { ...deliveries, backlog: () => counting.promise };
    const http = new OutgoingHttp({ allowedHosts: ['127.0.0.1'] });
    const sender = new DeliverySender(repository, http, noneSealed, (error) => errors.push(error));
    const controller = new AbortController();
    const run = sender.run(controller.signal);
    await receiver.arrived(1);
    counting.reject(new Error('the count took too long'));
    await receiver.arrived(2);
    await until(async () => (await sql`SELECT FROM webhook_deliveries WHERE state = 'pending'`).count === 0);
    controller.abort();
    await run;
    expect(errors.map(String)).toEqual(['Error: the count took too long']);
  } finally {
    await receiver.stop();
  }
});

test('the backlog has due deliveries, and none of a disabled webhook', async () => {
  await makeWebhook('due', 7);
  const later = await makeWebhook('later', 50);
  const off = await makeWebhook('off', 50);
  await sql`UPDATE webhook_deliveries SET next_attempt_at = now() + interval '1 hour' WHERE webhook_id = ${later}`;
  await sql`UPDATE webhooks SET enabled = false, disabled_reason = 'failing' WHERE id = ${off}`;
  await sql`UPDATE webhook_deliveries SET next_attempt_at = now() - interval '1 minute' WHERE event_id = 'due:3'`;
  const { dueCount, dueAgeSeconds, disabledWebhooks } = await deliveries.backlog(never);
  expect([dueCount, disabledWebhooks]).toEqual([7, 1]);
  expect(dueAgeSeconds).toBeGreaterThanOrEqual(60);
});

test('cleanup and measurement read only the rows they need, never all deliveries', async () => {
  // Each backend flushes its own statistics.
  const one = openPostgres({ url, connectionsMax: 1, timeoutSeconds: 10 });
  const oneDatabase = openTestDatabase(url, { connectionsMax: 1, timeoutSeconds: 10 });
  const scans = async () => {
    await oneDatabase.query((sql) => sql`SELECT pg_stat_force_next_flush()`);
    await one`SELECT pg_stat_force_next_flush()`;
    const [row] = await one`
      SELECT seq_scan, idx_scan FROM pg_stat_user_tables WHERE relname = 'webhook_deliveries'`;
    return row as { seqScan: number; idxScan: number };
  };
  try {
    await one`
      INSERT INTO webhooks (id, owner, url, secret, enabled, deleted_at)
      SELECT gen_random_uuid(), 'owner-' || n, 'https://hooks.test/', ${Buffer.alloc(32)}, n > 50,
        CASE WHEN n <= 50 THEN now() - interval '2 hours' END FROM generate_series(1, 100) n`;
    await one`
      INSERT INTO webhook_deliveries (id, webhook_id, event_id, event_type, body, next_attempt_at)
      SELECT gen_random_uuid(), id, n::text, 'account.opened.v1', '{}', now() + interval '1 day'
      FROM webhooks, generate_series(1, 400) n WHERE enabled`;
    await one`
      INSERT INTO webhook_bodies SELECT owner, n::text, '{}', now() - interval '40 days' FROM webhooks, generate_series(1, 9) n
      ON CONFLICT DO NOTHING`;
    await one`ANALYZE webhooks, webhook_deliveries, webhook_bodies`;
    const before = await scans();
    const repository = createDeliveryRepository(oneDatabase, new Incarnation(oneDatabase));
    await createRetentionRepository(oneDatabase, 30).forget();
    await repository.backlog(never);
    const { seqScan, idxScan } = await scans();
    expect(seqScan).toBe(before.seqScan);
    expect(idxScan).toBeGreaterThan(before.idxScan);
    expect((await one`SELECT FROM webhooks`).count).toBe(50);
  } finally {
    await Promise.all([one.end(), oneDatabase.end()]);
  }
});
