import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { openPostgres, type Sql } from '../../src/adapters/postgres/postgres.ts';
import { type Client, createClient } from '../support/atlas-client.ts';
import { freshDatabase } from '../support/database.ts';
import { isKafkaHere, sharedTestKafka } from '../support/kafka.ts';
import { openAccount } from '../support/ledger-steps.ts';
import { START_TIMEOUT_MS } from '../support/test-app.ts';
import { until } from '../support/until.ts';
import { startReceiver, type WebhookReceiver } from '../support/webhook-receiver.ts';
import { createWebhook } from '../support/webhook-steps.ts';
import { type AtlasProcess, isAlive, makeFolder, removeFolder, startAtlas } from './atlas-process.ts';
import { statusOf } from './faulty-atlas.ts';

const TIMEOUT_MS = 120_000;
// Kafka itself removes a dead member 6 s after its last heartbeat, and the group then rebalances.
const FLOWING_MS_MAX = 5000;
const EVENTS = 24;
let deployments = 0;

describe.if(isKafkaHere())('webhooks with Kafka', () => {
  const folders: string[] = [];
  const hosts: AtlasProcess[] = [];
  let databaseUrl: string;
  let brokers: string;
  let prefix: string;
  let sql: Sql;
  let receiver: WebhookReceiver;
  beforeEach(async () => {
    ({ brokers } = await sharedTestKafka());
    prefix = `kill-${process.pid}-${++deployments}`;
    databaseUrl = await freshDatabase();
    sql = openPostgres({ url: databaseUrl, connectionsMax: 1, timeoutSeconds: 10 });
    receiver = startReceiver();
  }, START_TIMEOUT_MS);
  afterEach(async () => {
    await Promise.all(hosts.splice(0).map((host) => host.end('SIGKILL')));
    await receiver?.stop();
    await sql?.end();
    for (const folder of folders.splice(0)) await removeFolder(folder);
  }, START_TIMEOUT_MS);

  async function startHost(workers: number): Promise<AtlasProcess> {
    const folder = await makeFolder();
    folders.push(folder);
    const host = await startAtlas(folder, {
      DATABASE_URL: databaseUrl,
      KAFKA_BROKERS: brokers,
      KAFKA_TOPIC_PREFIX: prefix,
      API_WORKERS: String(workers),
      ENVIRONMENT: 'staging',
      WEBHOOKS_ALLOWED_HOSTS: '127.0.0.1',
    });
    hosts.push(host);
    return host;
  }

  const workersOf = async (host: AtlasProcess) =>
    (await host.status()).slots.flatMap(({ worker }) => worker?.pid ?? []);

  /** Writes events of several keys, so that each partition is likely to have one. Resolves when they are delivered. */
  async function deliver(client: Client): Promise<void> {
    const before = receiver.received.length;
    for (let i = 0; i < EVENTS; i++) await openAccount(client);
    await receiver.arrived(before + EVENTS);
  }

  async function kill(pids: readonly number[]): Promise<void> {
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    await until(() => pids.every((pid) => !isAlive(pid)));
  }

  /** Expects that events which are written from now on are delivered soon. */
  async function expectFlowing(client: Client): Promise<void> {
    const startMs = performance.now();
    await deliver(client);
    const ms = performance.now() - startMs;
    console.log(`delivered ${Math.round(ms)} ms after the death was known`);
    expect(ms).toBeLessThan(FLOWING_MS_MAX);
  }

  for (const workers of [1, 2])
    test(
      `are delivered again within 5 s after the worker that consumes is killed, one of ${workers}`,
      async () => {
        const host = await startHost(workers);
        const client = createClient(host.url, host.key!);
        await createWebhook(client, { url: receiver.url });
        await deliver(client);
        // The worker of the first slot runs the loops of the host.
        await kill((await workersOf(host)).slice(0, 1));
        await until(async () => (await statusOf(`${host.url}/health/ready`)) === 200);
        await expectFlowing(client);
      },
      TIMEOUT_MS,
    );

  test(
    'are delivered again within 5 s after a lost host is known to be dead',
    async () => {
      const [first, second] = [await startHost(1), await startHost(1)];
      const client = createClient(second.url, first.key!);
      await createWebhook(client, { url: receiver.url });
      await deliver(client);
      await kill([first.pid, ...(await workersOf(first))]);
      await until(
        async () =>
          (
            await sql`SELECT FROM incarnations WHERE id LIKE ${`%-${first.pid}-%`} AND expires_at > clock_timestamp()`
          ).count === 0,
      );
      await expectFlowing(client);
    },
    TIMEOUT_MS,
  );
});
