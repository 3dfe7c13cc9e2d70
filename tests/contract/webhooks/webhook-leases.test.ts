import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import type { Database } from '../../../src/adapters/postgres/database.ts';
import { ALIVE_MS, Incarnation } from '../../../src/adapters/postgres/incarnation.ts';
import { openPostgres, type Sql } from '../../../src/adapters/postgres/postgres.ts';
import { type AttemptResult, decide } from '../../../src/features/webhooks/deliveries/domain.ts';
import { createDeliveryRepository } from '../../../src/features/webhooks/deliveries/repository.ts';
import { availableEngines, freshDatabase, openTestDatabase } from '../../support/database.ts';
import { until } from '../../support/until.ts';

const never = new AbortController().signal;
const success: AttemptResult = { durationMs: 3, status: 200, failure: null, retryAfter: null };
const delivered = decide(success, 1, Date.now(), 0.5);

describe.each(availableEngines())('the leases of deliveries on the %s PostgreSQL', (engine) => {
  let sql: Sql;
  let databases: Database[];
  let incarnations: Incarnation[];
  let dying: ReturnType<typeof createDeliveryRepository>;
  let survivor: ReturnType<typeof createDeliveryRepository>;
  beforeEach(async () => {
    const url = await freshDatabase(engine);
    databases = [0, 1].map(() => openTestDatabase(url, { connectionsMax: 4, timeoutSeconds: 10 }));
    sql = openPostgres({ url, connectionsMax: 4, timeoutSeconds: 10 });
    incarnations = databases.map((db, i) => new Incarnation(db, i === 0 ? 'dying' : 'survivor'));
    [dying, survivor] = databases.map((db, i) => createDeliveryRepository(db, incarnations[i]!)) as [
      typeof dying,
      typeof survivor,
    ];
  }, 60_000);
  afterEach(async () => {
    await Promise.all(incarnations.map((incarnation) => incarnation.close()));
    await Promise.all([sql, ...databases].map((opened) => opened.end()));
  });

  async function makeDelivery(): Promise<string> {
    const webhookId = crypto.randomUUID();
    await sql`
      INSERT INTO webhooks (id, owner, url, secret)
      VALUES (${webhookId}, 'owner', 'https://hooks.test/', ${Buffer.alloc(32)})`;
    const eventId = `${webhookId}:0`;
    const id = crypto.randomUUID();
    await survivor.insert(
      [{ id, owner: 'owner', webhookId, eventId, eventType: 'a.v1', body: '{}' }],
      sql0(),
    );
    return id;
  }
  const sql0 = () => databases[1]!;
  const stateOf = async (id: string) =>
    (await sql`SELECT state, attempts, incarnation FROM webhook_deliveries WHERE id = ${id}`)[0];
  /** A worker of the release before, which knows no incarnations. */
  const claimAsBefore = () => sql`SELECT id, attempts, body FROM claim_webhook_deliveries(10, 8, 32, 60000)`;
  const canJudge = () => until(() => incarnations[1]!.canJudge());

  test('a delivery of a process that has exited is free at once, and its late result changes nothing', async () => {
    const id = await makeDelivery();
    const [lost] = await dying.claim(1, never);
    expect(await survivor.freeLost(never)).toBe(0);
    expect(await survivor.claim(1, never)).toEqual([]);
    await incarnations[1]!.reap('dying');
    expect(await survivor.freeLost(never)).toBe(1);
    const [claim] = await survivor.claim(1, never);
    expect(claim).toMatchObject({ id, attempts: 2 });
    await dying.settle(lost!, success, delivered);
    await dying.release(lost!);
    expect(await stateOf(id)).toMatchObject({ state: 'pending', attempts: 2, incarnation: 'survivor' });
    await survivor.settle(claim!, success, delivered);
    expect(await stateOf(id)).toMatchObject({ state: 'delivered', attempts: 2 });
  });

  test('a delivery that a process has just claimed stays its own, even if it has just started', async () => {
    const id = await makeDelivery();
    await dying.claim(1, never);
    await incarnations[1]!.reap('dying');
    const { late } = await sql.begin(async (tx) => {
      await tx`SELECT FROM webhook_deliveries FOR UPDATE`;
      // Its statement has a snapshot now, and waits for the row.
      const late = survivor.freeLost(never);
      const waiting = () =>
        sql`SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
      await until(async () => (await waiting()).count > 0);
      await sql`INSERT INTO incarnations VALUES ('successor', clock_timestamp() + interval '1 minute')`;
      await tx`UPDATE webhook_deliveries SET incarnation = 'successor', attempts = attempts + 1`;
      return { late };
    });
    expect(await late).toBe(0);
    expect(await stateOf(id)).toMatchObject({ state: 'pending', incarnation: 'successor' });
    expect(await survivor.claim(1, never)).toEqual([]);
  });

  test('a process that is wrongly believed dead may still record its attempt, until another one has claimed it', async () => {
    const id = await makeDelivery();
    const [claim] = await dying.claim(1, never);
    await incarnations[1]!.reap('dying');
    expect(await survivor.freeLost(never)).toBe(1);
    await dying.settle(claim!, success, delivered);
    expect(await stateOf(id)).toMatchObject({ state: 'delivered', attempts: 1 });
    expect(await survivor.claim(1, never)).toEqual([]);
  });

  test('a delivery of a process that is silent is free within its renewal, but not right after PostgreSQL was away', async () => {
    await makeDelivery();
    await dying.claim(1, never);
    const silence = () =>
      sql`UPDATE incarnations SET expires_at = clock_timestamp() - interval '1 second' WHERE id = 'dying'`;
    await silence();
    // This process has only just begun to renew, as after an outage.
    expect(await incarnations[1]!.canJudge()).toBe(false);
    expect(await survivor.freeLost(never)).toBe(0);
    await canJudge();
    expect(await survivor.freeLost(never)).toBe(0);
    await incarnations[0]!.close();
    await sql`INSERT INTO incarnations VALUES ('dying', clock_timestamp() - interval '1 second')`;
    expect(await survivor.freeLost(never)).toBe(1);
    expect(await survivor.claim(1, never)).toHaveLength(1);
  });

  test('a process is renewed while it holds something, for a few seconds at a time', async () => {
    await incarnations[0]!.hold();
    const expiresAt = async () =>
      (
        await sql<{ at: Date; inMs: number }[]>`
        SELECT expires_at AS at, extract(epoch FROM expires_at - clock_timestamp())::float8 * 1000 AS in_ms
        FROM incarnations WHERE id = 'dying'`
      )[0]!;
    const first = await expiresAt();
    expect(first.inMs).toBeLessThanOrEqual(ALIVE_MS);
    await until(async () => (await expiresAt()).at > first.at);
    await incarnations[0]!.close();
    expect(await sql`SELECT FROM incarnations WHERE id = 'dying'`).toHaveLength(0);
  });

  test('a claim of the release before lasts for its lease, even if a process that has died held the delivery', async () => {
    const id = await makeDelivery();
    await dying.claim(1, never);
    await incarnations[1]!.reap('dying');
    await survivor.freeLost(never);
    expect(await claimAsBefore()).toMatchObject([{ id, attempts: 2, body: '{}' }]);
    expect(await stateOf(id)).toMatchObject({ incarnation: null });
    await canJudge();
    expect(await survivor.freeLost(never)).toBe(0);
    expect(await survivor.claim(1, never)).toEqual([]);
  });
});
