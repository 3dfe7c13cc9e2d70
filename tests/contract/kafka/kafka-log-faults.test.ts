import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { type Admin, type Kafka, Partitioners, type Producer, type ProducerConfig } from 'kafkajs';
import { createKafkaClient } from '../../../src/adapters/kafka/kafka-client.ts';
import { toMessage } from '../../../src/adapters/kafka/kafka-message.ts';
import { partitionOf } from '../../../src/adapters/kafka/kafka-partitioner.ts';
import { KafkaPublisher } from '../../../src/adapters/kafka/kafka-publisher.ts';
import type { AtlasEvent } from '../../../src/utils/event.ts';
import { isKafkaHere, sharedTestKafka } from '../../support/kafka.ts';
import { START_TIMEOUT_MS } from '../../support/test-app.ts';
import { untilLed } from '../../support/topic.ts';
import { until } from '../../support/until.ts';
import { EventWorld } from '../event-log/event-world.ts';

const PARTITIONS = 12;
const TIMEOUT_MS = 60_000;
const event = (key: string, sequence: number, text = ''): AtlasEvent => ({
  owner: 'owner',
  type: 'test.told.v1',
  key,
  sequence,
  occurredAt: '2026-01-01T00:00:00.000Z',
  data: { text },
});
const soon = () => AbortSignal.timeout(20_000);

describe.if(isKafkaHere())('the event log on a Kafka that has changed', () => {
  let world: EventWorld;
  let brokers: string;
  let client: Kafka;
  let admin: Admin;
  beforeEach(async () => {
    world = await EventWorld.open('kafka');
    ({ brokers } = await sharedTestKafka());
    client = createKafkaClient({ brokers: [brokers] }, () => {});
    admin = client.admin();
    await admin.connect();
  }, START_TIMEOUT_MS);
  afterEach(async () => {
    await admin.disconnect();
    await world.close();
  });
  const topic = () => `${world.prefix}.events`;

  /** Keys in the same partition as the first one. */
  function keysOfOnePartition(count: number): string[] {
    const keys: string[] = [];
    for (let i = 0; keys.length < count; i++)
      if (partitionOf(`key-${i}`, PARTITIONS) === partitionOf('key-0', PARTITIONS)) keys.push(`key-${i}`);
    return keys;
  }

  test(
    'delivers all of a topic that was created again and has grown past the old position',
    async () => {
      const [first = '', ...others] = keysOfOnePartition(8);
      for (let i = 0; i < 3; i++) await world.tell(first, i);
      await world.relayAll();
      const before = world.consume('again');
      await world.effectsOf('again', 3);
      await before.stop();
      const position = async () =>
        Number((await world.sql`SELECT max(position) AS at FROM consumer_offsets`)[0]!.at);
      const oldPosition = await position();
      await admin.deleteTopics({ topics: [topic()] });
      for (const key of others) await world.tell(key, 0);
      await world.relayAll();
      const ends = await untilLed(() => admin.fetchTopicOffsets(topic()));
      expect(Math.max(...ends.map(({ high }) => Number(high)))).toBeGreaterThan(oldPosition);
      world.consume('again');
      const effects = await world.effectsOf('again', 3 + others.length);
      expect(effects.slice(3).map(({ key }) => key)).toEqual(others);
    },
    TIMEOUT_MS,
  );

  test(
    'loses no events of keys that move to another partition when partitions are added',
    async () => {
      for (let i = 0; i < 3; i++) for (let key = 0; key < 20; key++) await world.tell(`key-${key}`, i);
      await world.relayAll();
      await admin.createPartitions({ topicPartitions: [{ topic: topic(), count: 2 * PARTITIONS + 1 }] });
      for (let i = 3; i < 6; i++) for (let key = 0; key < 20; key++) await world.tell(`key-${key}`, i);
      await world.relayAll();
      world.consume('more');
      const effects = await world.effectsOf('more', 120);
      for (let key = 0; key < 20; key++) {
        const sequences = effects
          .filter((effect) => effect.key === `key-${key}`)
          .map(({ sequence }) => sequence);
        expect(sequences).toEqual([0, 1, 2, 3, 4, 5]);
      }
    },
    TIMEOUT_MS,
  );

  test('hides the open transaction of a relay that died, and does not block readers on it', async () => {
    const second = world.openLog().publisher!;
    // Creates the topic.
    await second.open(soon());
    const dead = client.producer({
      transactionalId: `${world.prefix}-relay`,
      transactionTimeout: 600_000,
      createPartitioner: Partitioners.DefaultPartitioner,
    });
    await dead.connect();
    const { message } = toMessage(event('key', 0, 'left behind'));
    await (await dead.transaction()).send({ topic: topic(), messages: [message] });
    await dead.disconnect();
    await second.open(soon());
    await second.publish([event('key', 0, 'sent')], soon());
    const texts: unknown[] = [];
    world.consume('whole', async (events) => void texts.push(...events.map(({ data }) => data.text)));
    await until(() => texts.length > 0);
    expect(texts).toEqual(['sent']);
    await second.close();
  });

  test('neither fences nor leaves a connection behind when opening is aborted', async () => {
    const log = world.openLog();
    const live = log.publisher!;
    await live.open(soon());
    const aborting = new AbortController();
    let isConnected = false;
    let transactions = 0;
    const hasConnected = Promise.withResolvers<void>();
    const watched = Object.assign(Object.create(client) as Kafka, {
      producer(config: ProducerConfig): Producer {
        const producer = client.producer(config);
        return {
          ...producer,
          async connect() {
            aborting.abort(new Error('aborted'));
            await Bun.sleep(0);
            await producer.connect();
            isConnected = true;
            hasConnected.resolve();
          },
          async disconnect() {
            await producer.disconnect();
            isConnected = false;
          },
          transaction() {
            transactions++;
            return producer.transaction();
          },
        };
      },
    });
    const publisher = new KafkaPublisher({
      client: watched,
      dependency: log.dependency!,
      topic: topic(),
      transactionalId: `${world.prefix}-relay`,
    });
    expect(await publisher.open(aborting.signal).catch((error: Error) => error.message)).toBe('aborted');
    await hasConnected.promise;
    await until(() => !isConnected);
    expect(await live.publish([event('key', 0)], soon())).toEqual([]);
    expect(transactions).toBe(0);
    await live.close();
  });
});
