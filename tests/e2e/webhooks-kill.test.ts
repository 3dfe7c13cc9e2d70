import { afterEach, beforeEach, expect, test } from 'bun:test';
import { openPostgres, type Sql } from '../../src/adapters/postgres/postgres.ts';
import { createClient } from '../support/atlas-client.ts';
import { freshDatabase } from '../support/database.ts';
import { openAccount } from '../support/ledger-steps.ts';
import { until } from '../support/until.ts';
import { startReceiver, type WebhookReceiver } from '../support/webhook-receiver.ts';
import { createWebhook } from '../support/webhook-steps.ts';
import { type AtlasProcess, isAlive, makeFolder, removeFolder, startAtlas } from './atlas-process.ts';

const TIMEOUT_MS = 120_000;

let folder: string;
let databaseUrl: string;
let sql: Sql;
let atlas: AtlasProcess | undefined;
let receiver: WebhookReceiver;
beforeEach(async () => {
  folder = await makeFolder();
  databaseUrl = await freshDatabase();
  sql = openPostgres({ url: databaseUrl, connectionsMax: 1, timeoutSeconds: 10 });
  receiver = startReceiver();
}, TIMEOUT_MS);
afterEach(async () => {
  await atlas?.end('SIGKILL');
  await receiver.stop();
  await sql.end();
  await removeFolder(folder);
}, TIMEOUT_MS);

test(
  'a delivery whose worker is killed before it records the attempt is sent again under the same id, and no other is',
  async () => {
    atlas = await startAtlas(folder, {
      DATABASE_URL: databaseUrl,
      API_WORKERS: '1',
      ENVIRONMENT: 'staging',
      WEBHOOKS_ALLOWED_HOSTS: '127.0.0.1',
    });
    const client = createClient(atlas.url, atlas.key!);
    await createWebhook(client, { url: receiver.url });
    const workerOf = async () => (await atlas!.status()).slots[0]!.worker;
    const pid = (await workerOf())!.pid;
    receiver.respond = async () => {
      receiver.respond = () => new Response(null, { status: 204 });
      process.kill(pid, 'SIGKILL');
      await until(() => !isAlive(pid));
      return new Response(null, { status: 204 });
    };
    await openAccount(client);
    const [first] = await receiver.arrived(1);
    await until(async () => {
      const worker = await workerOf();
      return worker !== null && worker !== undefined && worker.pid !== pid;
    });
    // The lease of the dead worker expires after a minute. Here it expires now.
    const { count } = await sql`
      UPDATE webhook_deliveries SET leased_until = now(), next_attempt_at = now() WHERE leased_until IS NOT NULL`;
    expect(count).toBe(1);
    const [, second] = await receiver.arrived(2);
    expect(second!.headers['webhook-id']).toBe(first!.headers['webhook-id']!);
    expect(second!.body).toBe(first!.body);
    await until(
      async () => (await sql`SELECT FROM webhook_deliveries WHERE state = 'delivered'`).count === 1,
    );
    await openAccount(client);
    const [, , third] = await receiver.arrived(3);
    expect(third!.headers['webhook-id']).not.toBe(first!.headers['webhook-id']!);
  },
  TIMEOUT_MS,
);
