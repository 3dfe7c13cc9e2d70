import { afterEach, beforeEach, expect, test } from 'bun:test';
import { openPostgres, type Sql } from '../../../src/adapters/postgres/postgres.ts';
import { freshDatabase } from '../../support/database.ts';

// Each with one due delivery, and twenty of each owner.
const WEBHOOKS = 5000;
const FREE = 20;
// Far fewer than there are webhooks.
const PROBES_MAX = 3000;

let sql: Sql;
beforeEach(async () => {
  sql = openPostgres({ url: await freshDatabase(), connectionsMax: 2, timeoutSeconds: 60 });
  await sql`
    INSERT INTO webhooks (id, owner, url, secret, claimed_at)
    SELECT gen_random_uuid(), 'owner ' || n / 20, 'https://hooks.test/', ${Buffer.alloc(32)}, now() - n * interval '1 ms'
      FROM generate_series(0, ${WEBHOOKS - 1}) n`;
  await sql`
    INSERT INTO webhook_deliveries (id, webhook_id, event_id, event_type, body)
    SELECT gen_random_uuid(), id, 'event', 'account.opened.v1', '{}' FROM webhooks`;
}, 60_000);
afterEach(() => sql.end());

const claim = (tx: Sql, ownerMax = 32) => tx<{ owner: string }[]>`
  SELECT w.owner FROM claim_sealed_deliveries(${FREE}, 8, ${ownerMax}, 60000, 'incarnation') c
    JOIN webhooks w ON w.id = c.webhook_id`;

test('a claim reads about what it claims, however many webhooks wait', async () => {
  await sql.begin(async (tx) => {
    const probes = async () => {
      const [row] = await tx<[{ probes: number }]>`
        SELECT idx_scan::int AS probes FROM pg_stat_xact_user_tables WHERE relname = 'webhook_deliveries'`;
      return row.probes;
    };
    const before = await probes();
    expect(await claim(tx as unknown as Sql)).toHaveLength(FREE);
    expect((await probes()) - before).toBeLessThan(PROBES_MAX);
  });
});

test('of many webhooks that wait, those are next that have waited longest, unless their owners are full', async () => {
  await sql`UPDATE webhooks SET claimed_at = now() - interval '1 day' WHERE owner = 'owner 3'`;
  await sql`UPDATE webhooks SET claimed_at = '-infinity' WHERE owner = 'owner 7'`;
  const owners = async () => [...new Set((await claim(sql, 5)).map(({ owner }) => owner))];
  expect(await owners()).toEqual(['owner 7']);
  expect(await owners()).toEqual(['owner 3']);
  expect(await owners()).not.toEqual(expect.arrayContaining(['owner 7']));
});

test('many webhooks that fail do not hide those that work', async () => {
  await sql`UPDATE webhooks SET failing_since = now(), claimed_at = now() - interval '1 day' WHERE owner <> 'owner 5'`;
  await sql`UPDATE webhooks SET claimed_at = now() WHERE owner = 'owner 5'`;
  const claimed: string[] = [];
  for (let found = [{ owner: '' }]; found.length > 0; ) {
    found = await claim(sql);
    claimed.push(...found.map(({ owner }) => owner));
  }
  expect(claimed.filter((owner) => owner === 'owner 5')).toHaveLength(20);
  // Failing ones have so many slots.
  expect(claimed).toHaveLength(20 + 64);
});
