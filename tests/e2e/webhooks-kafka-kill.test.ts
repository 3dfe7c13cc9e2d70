import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { clientIdOf } from '../../src/adapters/kafka/kafka-lost-members.ts';
import type { Sql } from '../../src/adapters/postgres/postgres.ts';
import { type Client, createClient } from '../support/atlas-client.ts';
import { isKafkaHere, sharedTestKafka } from '../support/kafka.ts';
import { joinKafkaGroup } from '../support/kafka-member.ts';
import { openAccount } from '../support/ledger-steps.ts';
import { START_TIMEOUT_MS } from '../support/test-app.ts';
import { until } from '../support/until.ts';
import type { WebhookReceiver } from '../support/webhook-receiver.ts';
import { createWebhook } from '../support/webhook-steps.ts';
import { isAlive } from './atlas-process.ts';
import { statusOf } from './faulty-atlas.ts';
import { openWebhookHosts, type WebhookHosts, workersOf } from './webhook-hosts.ts';

const TIMEOUT_MS = 120_000;
// Kafka itself removes a dead member 6 s after its last heartbeat, and the group then rebalances.
const FLOWING_MS_MAX = 5000;
const EVENTS = 24;
let deployments = 0;

describe.if(isKafkaHere())('webhooks with Kafka', () => {
  let hosts: WebhookHosts;
  let sql: Sql;
  let receiver: WebhookReceiver;
  let brokers: string;
  let prefix: string;
  beforeEach(async () => {
    ({ brokers } = await sharedTestKafka());
    prefix = `kill-${process.pid}-${++deployments}`;
    hosts = await openWebhookHosts({ KAFKA_BROKERS: brokers, KAFKA_TOPIC_PREFIX: prefix });
    ({ sql, receiver } = hosts);
  }, START_TIMEOUT_MS);
  afterEach(() => hosts?.end(), START_TIMEOUT_MS);

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
        const host = await hosts.start(workers);
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
      const [first, second] = [await hosts.start(1), await hosts.start(1)];
      const client = createClient(second.url, first.key!);
      await createWebhook(client, { url: receiver.url });
      await deliver(client);
      const alive = () => sql<{ id: string }[]>`
        SELECT id FROM incarnations WHERE id LIKE ${`%-${first.pid}-%`} AND expires_at > clock_timestamp()`;
      const [worker] = await alive();
      // Another member of the lost host, for which Kafka itself waits far longer than this test.
      const groupId = `${prefix}.webhooks`;
      const topic = `${prefix}.events`;
      const member = await joinKafkaGroup({ brokers, groupId, topic, clientId: clientIdOf(worker!.id, 99) });
      await kill([first.pid, ...(await workersOf(first))]);
      member.cut();
      await until(async () => (await alive()).count === 0);
      await expectFlowing(client);
    },
    TIMEOUT_MS,
  );
});
