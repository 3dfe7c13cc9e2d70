import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { Webhook } from 'standardwebhooks';
import { migrateDown, migrateUp, readMigrations } from '../../../src/adapters/postgres/migrations.ts';
import { storeSecretsSealed } from '../../../src/adapters/postgres/secrets-at-rest.ts';
import type { StoredSecrets } from '../../../src/features/stored-secrets.ts';
import { BackgroundLoops } from '../../../src/resilience/background-loops.ts';
import { generateKey } from '../../../src/utils/sealing.ts';
import { freshDatabase } from '../../support/database.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';
import { startReceiver, type WebhookReceiver } from '../../support/webhook-receiver.ts';
import { createWebhook, listDeliveries } from '../../support/webhook-steps.ts';

const BACKOFF = { RETRY_MULTIPLIER: 2, RETRY_MIN_WAIT: 0.01, RETRY_MAX_WAIT: 0.1, RETRY_JITTER: false };
const [KEY, NEXT_KEY] = [generateKey(), generateKey()];
const MIGRATION = 12;

let url: string;
let receiver: WebhookReceiver;
let apps: TestApp[];
beforeEach(async () => {
  url = await freshDatabase();
  receiver = startReceiver();
  apps = [];
}, START_TIMEOUT_MS);
afterEach(async () => {
  await receiver.stop();
  await Promise.all(apps.map((app) => app.close()));
});

/** Starts another host on the same database. */
async function host(settings: Record<string, string>): Promise<TestApp> {
  const app = await startTestApp({ DATABASE_URL: url, WEBHOOKS_ALLOWED_HOSTS: '127.0.0.1', ...settings });
  apps.push(app);
  return app;
}

const secretsOf = (app: TestApp): StoredSecrets => app.features.webhooks.secrets[0]!;
const rotate = async (app: TestApp) => {
  await storeSecretsSealed(app.deps.database);
  const failed: string[] = [];
  for (let after: string | null = null; ; ) {
    const step = await secretsOf(app).sealStep(after);
    failed.push(...step.failed);
    if (step.nextId === null) return failed;
    after = step.nextId;
  }
};
const isPlainStored = (app: TestApp) => app.sql`
  SELECT FROM webhooks WHERE secret IS NOT NULL OR old_secret IS NOT NULL OR sealed_secret LIKE 'plain.%'`;
const replaceSecret = async (app: TestApp, id: string) =>
  ((await (await app.call('POST', `/v1/webhooks/${id}/secret`)).json()) as { secret: string }).secret;

async function sending<T>(app: TestApp, work: () => Promise<T>): Promise<T> {
  const loops = new BackgroundLoops(
    app.loops.filter(({ name }) => name === 'webhook deliveries'),
    BACKOFF,
    () => {},
  );
  loops.start();
  try {
    return await work();
  } finally {
    await loops.stop();
  }
}
/** Sends a test event, and expects that it arrives signed with each of the secrets. */
async function expectSigned(app: TestApp, id: string, secrets: readonly string[]): Promise<void> {
  const before = receiver.received.length;
  await app.call('POST', `/v1/webhooks/${id}/test`);
  const received = await sending(app, () => receiver.arrived(before + 1));
  for (const secret of secrets) new Webhook(secret).verify(received.at(-1)!.body, received.at(-1)!.headers);
  expect(received.at(-1)!.headers['webhook-signature']!.split(' ')).toHaveLength(secrets.length);
}

test('with a key, no secret is ever stored plain, and deliveries verify before and after its replacement', async () => {
  const app = await host({ SECRETS_KEY: KEY, ENVIRONMENT: 'production' });
  const { id, secret } = await createWebhook(app, { url: receiver.url });
  await expectSigned(app, id, [secret]);
  const next = await replaceSecret(app, id);
  await expectSigned(app, id, [next, secret]);
  const bytes = (text: string) => Buffer.from(text.slice('whsec_'.length), 'base64');
  const stored = JSON.stringify(await app.sql`SELECT w.*, encode(secret, 'hex') AS hex FROM webhooks w`);
  for (const each of [secret, next])
    for (const text of [each.slice(6), bytes(each).toString('base64url'), bytes(each).toString('hex')])
      expect(stored).not.toContain(text);
  expect((await isPlainStored(app)).count).toBe(0);
});

test('without a key outside of development, creating a secret is refused with advice, and nothing is stored', async () => {
  const app = await host({ ENVIRONMENT: 'production' });
  const json = { url: receiver.url };
  const response = await app.call('POST', '/v1/webhooks', { json });
  expect([response.status, await response.json()]).toEqual([
    503,
    expect.objectContaining({ type: expect.stringContaining('secrets_key_missing') }),
  ]);
  expect(app.logs.join('')).toContain('SECRETS_KEY');
  expect((await app.sql`SELECT FROM webhooks`).count).toBe(0);
  const keyed = await host({ SECRETS_KEY: KEY });
  const { id } = await createWebhook(keyed, json);
  expect((await app.call('POST', `/v1/webhooks/${id}/secret`)).status).toBe(503);
  expect((await app.call('GET', '/v1/webhooks')).status).toBe(200);
});

describe('a delivery whose secret this host cannot open', () => {
  test('is not sent, does not count as an attempt, and is sent by a host that has the key', async () => {
    const app = await host({ SECRETS_KEY: KEY });
    const { id, secret } = await createWebhook(app, { url: receiver.url });
    const stranger = await host({ SECRETS_KEY: NEXT_KEY, ENVIRONMENT: 'production' });
    await stranger.call('POST', `/v1/webhooks/${id}/test`);
    const [before] = await app.sql`SELECT tries FROM webhook_deliveries`;
    await sending(stranger, async () => {
      await until(() => stranger.logs.some((line) => line.includes('cannot be opened')));
      const isPostponed = async () =>
        (await app.sql`SELECT FROM webhook_deliveries WHERE leased_until IS NULL AND next_attempt_at > now()`)
          .count === 1;
      await until(isPostponed);
    });
    expect(receiver.received).toHaveLength(0);
    const [delivery] = await app.sql`SELECT state, tries FROM webhook_deliveries`;
    expect(delivery).toEqual({ state: 'pending', tries: before!.tries });
    expect((await app.sql`SELECT FROM webhook_attempts`).count).toBe(0);
    expect((await app.sql`SELECT FROM webhooks WHERE failing_since IS NOT NULL`).count).toBe(0);
    expect(await (await stranger.call('GET', '/metrics')).text()).toContain(
      'atlas_webhook_attempts_total{outcome="secret_unavailable"} 1',
    );
    await app.sql`UPDATE webhook_deliveries SET next_attempt_at = now()`;
    const [sent] = await sending(app, () => receiver.arrived(1));
    new Webhook(secret).verify(sent!.body, sent!.headers);
  });

  test('is not sent either if the record was exchanged for that of another webhook, or is plain', async () => {
    const app = await host({ SECRETS_KEY: KEY, ENVIRONMENT: 'production' });
    const { id } = await createWebhook(app, { url: receiver.url });
    const other = await createWebhook(app, { url: receiver.url });
    for (const record of [
      app.sql`(SELECT sealed_secret FROM webhooks WHERE id = ${other.id})`,
      app.sql`'plain.AAAA'`,
    ]) {
      await app.sql`UPDATE webhooks SET sealed_secret = ${record} WHERE id = ${id}`;
      await app.call('POST', `/v1/webhooks/${id}/test`);
      await sending(app, () =>
        until(
          async () =>
            (await app.sql`SELECT FROM webhook_deliveries WHERE next_attempt_at <= now()`).count === 0,
        ),
      );
    }
    expect(receiver.received).toHaveLength(0);
    expect(await listDeliveries(app, id)).toHaveLength(2);
  });
});

test('a host of the release before claims no delivery whose secret is sealed', async () => {
  const app = await host({ SECRETS_KEY: KEY });
  const { id, secret } = await createWebhook(app, { url: receiver.url });
  await app.call('POST', `/v1/webhooks/${id}/test`);
  expect((await app.sql`SELECT * FROM claim_held_deliveries(10, 8, 32, 60000, 'former')`).count).toBe(0);
  const [sent] = await sending(app, () => receiver.arrived(1));
  new Webhook(secret).verify(sent!.body, sent!.headers);
});

describe('a rotation', () => {
  test('seals all under the new key, in steps, while deliveries are signed with the right secrets', async () => {
    const former = await host({ SECRETS_KEY: KEY });
    const made = [];
    for (let i = 0; i < 8; i++)
      made.push(await createWebhook(former, { url: receiver.url }, await ownerHeaders(former, i % 4)));
    // More than a step has, between the others.
    await former.sql`
      INSERT INTO webhooks (id, owner, url, secret)
      SELECT gen_random_uuid(), 'many', ${receiver.url}, sha256(n::text::bytea) FROM generate_series(1, 250) n`;
    await former.sql`UPDATE secrets_at_rest SET sealed_since = NULL`;
    const app = await host({ SECRETS_KEY: NEXT_KEY, SECRETS_FORMER_KEYS: KEY, ENVIRONMENT: 'production' });
    const insertAll = () => app.sql`
      INSERT INTO webhook_deliveries (id, webhook_id, event_id, event_type, body)
      SELECT gen_random_uuid(), id, gen_random_uuid()::text, 'test', '{}' FROM webhooks`;
    await insertAll();
    await sending(app, async () => {
      await receiver.arrived(20);
      expect(await rotate(app)).toEqual([]);
      await receiver.arrived(258);
    });
    const secretBy = new Map(made.map(({ id, secret }) => [id, secret]));
    for (const { headers, body } of receiver.received) {
      const secret = secretBy.get(headers['webhook-id']!.slice(-36));
      if (secret !== undefined) new Webhook(secret).verify(body, headers);
    }
    const attempts =
      await app.sql`SELECT count(*), max(attempts) FROM webhook_deliveries WHERE state = 'delivered'`;
    expect(attempts[0]).toEqual({ count: 258, max: 1 });
    expect((await isPlainStored(app)).count).toBe(0);
    expect(await secretsOf(app).count()).toEqual({ total: 258, plain: 0, otherKey: 0 });
    // The former key is not needed any more.
    const later = await host({ SECRETS_KEY: NEXT_KEY, ENVIRONMENT: 'production' });
    const { id, secret } = made[0]!;
    expect((await later.sql`SELECT FROM webhooks WHERE id = ${id} AND sealed_secret LIKE 'v1.%'`).count).toBe(
      1,
    );
    const before = receiver.received.length;
    await later.sql`
      INSERT INTO webhook_deliveries (id, webhook_id, event_id, event_type, body)
      VALUES (gen_random_uuid(), ${id}, 'last', 'test', '{}')`;
    const [last] = (await sending(later, () => receiver.arrived(before + 1))).slice(-1);
    new Webhook(secret).verify(last!.body, last!.headers);
  });

  test('names the secrets that it cannot open, leaves them, seals all others, and can be repeated', async () => {
    const former = await host({ SECRETS_KEY: KEY });
    const lost = await createWebhook(former, { url: receiver.url });
    const app = await host({ SECRETS_KEY: NEXT_KEY });
    const own = await createWebhook(app, { url: receiver.url });
    await app.sql`UPDATE webhooks SET secret = ${Buffer.alloc(32, 1)}, sealed_secret = NULL WHERE id = ${own.id}`;
    expect(await secretsOf(app).count()).toEqual({ total: 2, plain: 1, otherKey: 1 });
    expect(await rotate(app)).toEqual([lost.id]);
    expect(await rotate(app)).toEqual([lost.id]);
    expect(await secretsOf(app).count()).toEqual({ total: 2, plain: 0, otherKey: 1 });
    const both = await host({ SECRETS_KEY: NEXT_KEY, SECRETS_FORMER_KEYS: KEY });
    expect(await rotate(both)).toEqual([]);
    await expectSigned(both, lost.id, [lost.secret]);
  });

  test('also seals what a host of the release before stores plain afterwards, and keeps the former secret', async () => {
    const app = await host({ SECRETS_KEY: KEY, ENVIRONMENT: 'production' });
    const { id, secret } = await createWebhook(app, { url: receiver.url });
    const next = Buffer.alloc(32, 7);
    // As that release replaces a secret.
    await app.sql`
      UPDATE webhooks SET secret = ${next}, old_secret = secret, old_secret_until = now() + interval '1 day'
      WHERE id = ${id}`;
    const both = [`whsec_${next.toString('base64')}`, secret];
    await expectSigned(app, id, both);
    await app.jobs.find(({ name }) => name === 'seal webhook secrets that are plain')!.run();
    expect((await isPlainStored(app)).count).toBe(0);
    await expectSigned(app, id, both);
  });
});

test('a database with webhooks keeps secrets plain until they are rotated; one without seals from the start', async () => {
  const app = await host({ SECRETS_KEY: KEY });
  const migrations = await readMigrations();
  const sealedSince = async () => (await app.sql`SELECT sealed_since FROM secrets_at_rest`)[0]!.sealedSince;
  expect(await sealedSince()).not.toBeNull();
  const down = () => migrateDown(app.deps.database, migrations, migrations.length - MIGRATION + 1);
  await down();
  await migrateUp(app.deps.database, migrations);
  expect(await sealedSince()).not.toBeNull();
  await down();
  const id = crypto.randomUUID();
  await app.sql`
    INSERT INTO webhooks (id, owner, url, secret) VALUES (${id}, 'owner', ${receiver.url}, ${Buffer.alloc(32, 3)})`;
  await migrateUp(app.deps.database, migrations);
  expect(await sealedSince()).toBeNull();
  const next = await replaceSecret(app, id);
  const created = await createWebhook(app, { url: receiver.url });
  expect((await isPlainStored(app)).count).toBe(2);
  const former = `whsec_${Buffer.alloc(32, 3).toString('base64')}`;
  await expectSigned(app, id, [next, former]);
  expect(await rotate(app)).toEqual([]);
  expect((await isPlainStored(app)).count).toBe(0);
  await expectSigned(app, id, [next, former]);
  await expectSigned(app, created.id, [created.secret]);
});

async function ownerHeaders(app: TestApp, i: number): Promise<Record<string, string>> {
  return { Authorization: `Bearer ${await app.key(undefined, `owner ${i}`)}` };
}
