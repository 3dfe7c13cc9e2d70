import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { type Admin, Kafka, logLevel } from 'kafkajs';
import { isKafkaHere, startTestKafka, type TestKafka } from '../../support/kafka.ts';
import { listeningAddresses } from '../../support/listening-addresses.ts';
import { isToxiproxyHere, startToxiproxy, type Toxiproxy } from '../../support/toxiproxy.ts';

// It starts within a second, unless everything else on the machine starts too.
const START_TIMEOUT_MS = 60_000;

/** A client that does not retry by default, so that a test sees whether the broker responds. */
function clientOf(brokers: string, retries = 0): Kafka {
  return new Kafka({
    brokers: [brokers],
    logLevel: logLevel.NOTHING,
    connectionTimeout: 1_000,
    requestTimeout: 2_000,
    retry: { retries },
  });
}

async function withAdmin<T>(brokers: string, work: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = clientOf(brokers).admin();
  try {
    await admin.connect();
    return await work(admin);
  } finally {
    await admin.disconnect();
  }
}

/** Sends messages and waits until the broker has acknowledged them. */
async function produce(brokers: string, topic: string, values: readonly string[]): Promise<void> {
  const producer = clientOf(brokers).producer();
  await producer.connect();
  await producer.send({ topic, acks: -1, messages: values.map((value) => ({ value })) });
  await producer.disconnect();
}

/** Reads so many messages from the beginning of the topic. The first group of a broker has to wait a little. */
async function consume(brokers: string, topic: string, count: number): Promise<string[]> {
  const consumer = clientOf(brokers, 5).consumer({ groupId: `reader-${crypto.randomUUID()}` });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  const seen: string[] = [];
  await new Promise<void>((resolve, reject) => {
    // A coordinator that has just restarted may move once more, and the consumer then restarts itself.
    consumer.on('consumer.crash', ({ payload }) => payload.restart || reject(payload.error));
    void consumer.run({
      eachMessage: async ({ message }) => {
        seen.push(String(message.value));
        if (seen.length === count) resolve();
      },
    });
  });
  await consumer.disconnect();
  return seen;
}

const isReachable = (brokers: string) =>
  withAdmin(brokers, (admin) => admin.listTopics()).then(
    () => true,
    () => false,
  );

describe.if(isKafkaHere())('a test Kafka', () => {
  let kafka: TestKafka;

  beforeAll(async () => {
    kafka = await startTestKafka();
  }, START_TIMEOUT_MS);
  afterAll(() => kafka.stop(), START_TIMEOUT_MS);

  test('listens on the loopback interface only', async () => {
    expect(await isReachable(kafka.brokers)).toBe(true);
    const { brokers } = await withAdmin(kafka.brokers, (admin) => admin.describeCluster());
    expect(brokers.map(({ host, port }) => `${host}:${port}`)).toEqual([kafka.brokers]);
    const addresses = await listeningAddresses(kafka.pid);
    expect(addresses.length).toBeGreaterThan(0);
    expect(addresses.filter((address) => address !== '127.0.0.1')).toEqual([]);
  });

  test('does not create topics on demand', async () => {
    await expect(produce(kafka.brokers, 'never-made', ['lost'])).rejects.toThrow();
    expect(await withAdmin(kafka.brokers, (admin) => admin.listTopics())).not.toContain('never-made');
  });

  test('has every acknowledged message after a kill, once and in order, on the same port', async () => {
    const topic = 'kept-over-a-kill';
    const values = Array.from({ length: 200 }, (_, i) => `message ${i}`);
    await withAdmin(kafka.brokers, (admin) =>
      admin.createTopics({ topics: [{ topic }], waitForLeaders: true }),
    );
    await produce(kafka.brokers, topic, values);
    const { brokers, pid } = kafka;
    await kafka.kill();
    expect(await isReachable(brokers)).toBe(false);

    await kafka.restart();
    expect(kafka.brokers).toBe(brokers);
    expect(kafka.pid).not.toBe(pid);
    await produce(brokers, topic, ['the last']);
    expect(await consume(brokers, topic, values.length + 1)).toEqual([...values, 'the last']);
  }, 120_000);

  test('does not respond while it is paused, and does afterwards', async () => {
    await kafka.pause();
    expect(await isReachable(kafka.brokers)).toBe(false);
    kafka.resume();
    expect(await isReachable(kafka.brokers)).toBe(true);
  });

  test('reports why it failed to start when its port is taken', async () => {
    const port = Number(kafka.brokers.split(':')[1]);
    const refusal = await startTestKafka({ port }).catch((error: Error) => error.message);
    expect(refusal).toContain('Kafka did not start.\n  why:  ');
    expect(refusal).toContain('in use');
    expect(refusal).toContain(`its port (${port})`);
  });
});

describe.if(isKafkaHere() && isToxiproxyHere())('a Kafka behind a proxy', () => {
  let toxiproxy: Toxiproxy;
  let kafka: TestKafka;

  beforeAll(async () => {
    toxiproxy = await startToxiproxy();
    kafka = await startTestKafka({ proxied: toxiproxy });
  }, START_TIMEOUT_MS);
  afterAll(async () => {
    await kafka.stop();
    await toxiproxy.stop();
  }, START_TIMEOUT_MS);

  test('advertises the proxy to its clients, which can therefore be cut off', async () => {
    const { brokers } = await withAdmin(kafka.proxiedBrokers, (admin) => admin.describeCluster());
    expect(brokers.map(({ host, port }) => `${host}:${port}`)).toEqual([kafka.proxiedBrokers]);
    expect(kafka.proxiedBrokers).not.toBe(kafka.brokers);
    await kafka.proxy.disable();
    expect(await isReachable(kafka.proxiedBrokers)).toBe(false);
    expect(await isReachable(kafka.brokers)).toBe(true);
    await kafka.proxy.enable();
    expect(await isReachable(kafka.proxiedBrokers)).toBe(true);
  });
});
