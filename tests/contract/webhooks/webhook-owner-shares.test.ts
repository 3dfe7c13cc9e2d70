import { afterEach, beforeEach, expect, test } from 'bun:test';
import type { OutgoingRequest } from '../../../src/adapters/http/outgoing-http.ts';
import type { Database } from '../../../src/adapters/postgres/database.ts';
import { Incarnation } from '../../../src/adapters/postgres/incarnation.ts';
import { openPostgres, type Sql } from '../../../src/adapters/postgres/postgres.ts';
import { DeliverySender } from '../../../src/features/webhooks/deliveries/delivery-sender.ts';
import { createDeliveryRepository } from '../../../src/features/webhooks/deliveries/repository.ts';
import { orAbort } from '../../../src/utils/or-abort.ts';
import { freshDatabase, openTestDatabase } from '../../support/database.ts';
import { until } from '../../support/until.ts';
import { noneSealed } from '../../support/webhook-steps.ts';

const never = new AbortController().signal;
const SLOW = 'https://slow.test/';
const FAST = 'https://fast.test/';

let sql: Sql;
let db: Database;
let deliveries: ReturnType<typeof createDeliveryRepository>;
beforeEach(async () => {
  const url = await freshDatabase();
  sql = openPostgres({ url, connectionsMax: 4, timeoutSeconds: 10 });
  db = openTestDatabase(url, { connectionsMax: 4, timeoutSeconds: 10 });
  deliveries = createDeliveryRepository(db, new Incarnation(db));
}, 60_000);
afterEach(() => Promise.all([sql.end(), db.end()]));

/** Creates webhooks of an owner, each with this many due deliveries. Their turn came this many seconds ago. */
async function makeWebhooks(owner: string, count: number, due: number, url: string, secondsAgo = 60) {
  const rows = await sql<{ id: string }[]>`
    INSERT INTO webhooks (id, owner, url, secret, claimed_at)
    SELECT gen_random_uuid(), ${owner}, ${url}, ${Buffer.alloc(32)}, now() - ${secondsAgo} * interval '1 second'
    FROM generate_series(1, ${count}) RETURNING id`;
  await sql`
    INSERT INTO webhook_deliveries (id, webhook_id, event_id, event_type, body)
    SELECT gen_random_uuid(), id::uuid, ${owner} || ':' || id || n, 'account.opened.v1', '{}'
    FROM unnest(${rows.map(({ id }) => id)}::text[]) id, generate_series(1, ${due}) n`;
}
const runningOf = async () =>
  Object.fromEntries(
    (await sql<{ owner: string; places: number }[]>`SELECT * FROM taken_webhook_places()`).map(
      ({ owner, places }) => [owner, Number(places)],
    ),
  );

/** Runs a sender to targets of which the slow ones never respond, until the test is done with it. */
async function whileSending(work: (sent: string[]) => Promise<void>): Promise<void> {
  const sent: string[] = [];
  const http = {
    post: async ({ url, signal }: OutgoingRequest) => {
      sent.push(url);
      if (url === SLOW) await orAbort(new Promise(() => {}), signal);
      return { status: 200, retryAfter: null };
    },
  };
  const errors: unknown[] = [];
  const sender = new DeliverySender(deliveries, http, noneSealed, (error) => errors.push(error));
  const stop = new AbortController();
  const running = sender.run(stop.signal);
  try {
    await work(sent);
  } finally {
    stop.abort();
    await running;
  }
  expect(errors).toEqual([]);
}

test('owners whose targets do not respond leave slots of a host to others', async () => {
  for (const owner of ['greedy-1', 'greedy-2', 'greedy-3']) await makeWebhooks(owner, 10, 10, SLOW);
  await whileSending(async (sent) => {
    await until(() => sent.length >= 96);
    await makeWebhooks('modest', 1, 3, FAST);
    await until(() => sent.filter((url) => url === FAST).length === 3);
    const { modest, ...greedy } = await runningOf();
    for (const places of Object.values(greedy)) expect(places).toBe(32);
  });
});

test('however many they are: each has fewer then, and a host sends a bounded number at a time', async () => {
  for (let i = 0; i < 30; i++) await makeWebhooks(`greedy-${i}`, 10, 3, SLOW);
  await whileSending(async (sent) => {
    await until(() => sent.length >= 210);
    await makeWebhooks('modest', 1, 3, FAST);
    await until(() => sent.filter((url) => url === FAST).length === 3);
    const { modest, ...greedy } = await runningOf();
    for (const places of Object.values(greedy)) expect(places).toBeLessThan(16);
    expect(Object.values(greedy).reduce((sum, places) => sum + places, 0)).toBeLessThan(250);
  });
});

test('one owner alone has a bounded number of slots, over all of its webhooks', async () => {
  await makeWebhooks('alone', 10, 10, SLOW);
  await whileSending(async (sent) => {
    await until(() => sent.length === 32);
    expect(await runningOf()).toEqual({ alone: 32 });
  });
});

test('the next slot goes to the owner with the fewest deliveries in flight, not to the one with the most webhooks', async () => {
  await makeWebhooks('greedy', 20, 5, SLOW, 5);
  expect(await deliveries.claim(10, never)).toHaveLength(10);
  await makeWebhooks('modest', 1, 5, FAST, 1);
  const next = await deliveries.claim(4, never);
  expect(next.map(({ url }) => url)).toEqual(Array(4).fill(FAST));
});

test('of the deliveries claimed together, each owner gets as many', async () => {
  await makeWebhooks('greedy', 3, 8, SLOW);
  await makeWebhooks('modest', 1, 8, FAST);
  const urls = (await deliveries.claim(12, never)).map(({ url }) => url);
  expect(urls.filter((url) => url === FAST)).toHaveLength(6);
});
