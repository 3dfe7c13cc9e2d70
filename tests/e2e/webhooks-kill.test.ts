import { afterEach, beforeEach, expect, test } from 'bun:test';
import type { Sql } from '../../src/adapters/postgres/postgres.ts';
import { type Client, createClient } from '../support/atlas-client.ts';
import { openAccount } from '../support/ledger-steps.ts';
import { until } from '../support/until.ts';
import type { Received, WebhookReceiver } from '../support/webhook-receiver.ts';
import { createWebhook } from '../support/webhook-steps.ts';
import { isAlive } from './atlas-process.ts';
import { openWebhookHosts, type WebhookHosts, workersOf } from './webhook-hosts.ts';

const TIMEOUT_MS = 120_000;
// A lease lasts for a minute, and a delivery whose process is known to be dead must not wait for it.
const LEASE_MS = 60_000;

let hosts: WebhookHosts;
let sql: Sql;
let receiver: WebhookReceiver;
beforeEach(async () => {
  hosts = await openWebhookHosts();
  ({ sql, receiver } = hosts);
}, TIMEOUT_MS);
afterEach(() => hosts.end(), TIMEOUT_MS);

/** Makes the first delivery kill the processes before they can record their attempt. Later ones succeed. */
function killOnFirst(pids: readonly number[]): void {
  receiver.respond = async () => {
    receiver.respond = () => new Response(null, { status: 204 });
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    await until(() => pids.every((pid) => !isAlive(pid)));
    return new Response(null, { status: 204 });
  };
}

/** Opens an account, whose event is sent twice: by the process that dies, and by its successor. Checks that. */
async function expectSentAgain(client: Client): Promise<Received> {
  await openAccount(client);
  const [first] = await receiver.arrived(1);
  const lostMs = performance.now();
  const [, second] = await receiver.arrived(2);
  expect(performance.now() - lostMs).toBeLessThan(LEASE_MS / 2);
  expect(second!.headers['webhook-id']).toBe(first!.headers['webhook-id']!);
  expect(second!.body).toBe(first!.body);
  await until(async () => (await sql`SELECT FROM webhook_deliveries WHERE state = 'delivered'`).count === 1);
  return first!;
}

test(
  'a delivery whose worker is killed is sent again as soon as it is dead, under the same id, and no other is',
  async () => {
    const host = await hosts.start(1);
    const client = createClient(host.url, host.key!);
    await createWebhook(client, { url: receiver.url });
    killOnFirst(await workersOf(host));
    const first = await expectSentAgain(client);
    await openAccount(client);
    const [, , third] = await receiver.arrived(3);
    expect(third!.headers['webhook-id']).not.toBe(first.headers['webhook-id']!);
  },
  TIMEOUT_MS,
);

test(
  'another worker of the host takes over the deliveries and the relay of one that is killed',
  async () => {
    const host = await hosts.start(2);
    const client = createClient(host.url, host.key!);
    await createWebhook(client, { url: receiver.url });
    // The worker of the first slot runs the loops of the host.
    const [runner] = await workersOf(host);
    killOnFirst([runner!]);
    await expectSentAgain(client);
    // Nobody waits for the lease of its relay either.
    await until(
      async () => (await sql`SELECT FROM incarnations i JOIN relay r ON r.incarnation = i.id`).count === 1,
    );
  },
  TIMEOUT_MS,
);

test(
  'another host takes over the deliveries of one that is lost, and those of a killed supervisor',
  async () => {
    const [first, second] = [await hosts.start(1), await hosts.start(1)];
    const client = createClient(second.url, first.key!);
    await createWebhook(client, { url: receiver.url });
    const senderOf = async () =>
      (
        await sql<{ incarnation: string }[]>`
        SELECT incarnation FROM webhook_deliveries WHERE incarnation IS NOT NULL`
      )[0]!.incarnation;
    let lost = first;
    receiver.respond = async () => {
      receiver.respond = () => new Response(null, { status: 204 });
      // Both hosts send. The one that has this delivery is lost, with all its processes.
      lost = (await senderOf()).includes(`-${first.pid}-`) ? first : second;
      const pids = [lost.pid, ...(await workersOf(lost))];
      for (const pid of pids) process.kill(pid, 'SIGKILL');
      return new Response(null, { status: 204 });
    };
    await expectSentAgain(client);
    const survivor = lost === first ? second : first;
    receiver.received.length = 0;
    await sql`DELETE FROM webhook_deliveries`;
    const [orphan] = await workersOf(survivor);
    receiver.respond = async () => {
      receiver.respond = () => new Response(null, { status: 204 });
      await hosts.start(1);
      process.kill(survivor.pid, 'SIGKILL');
      // Its worker notices, cannot finish in time, and releases the delivery.
      await until(() => !isAlive(orphan!));
      return new Response(null, { status: 204 });
    };
    await expectSentAgain(createClient(survivor.url, first.key!));
  },
  TIMEOUT_MS,
);
