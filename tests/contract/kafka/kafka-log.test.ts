import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { type Admin, ConfigResourceTypes, Kafka, logLevel, Partitioners } from 'kafkajs';
import { BatchRefused, type EventPublisher } from '../../../src/adapters/event-log/event-log.ts';
import { isFenced } from '../../../src/adapters/kafka/kafka-errors.ts';
import type { AtlasEvent } from '../../../src/utils/event.ts';
import { isKafkaHere, sharedTestKafka } from '../../support/kafka.ts';
import { START_TIMEOUT_MS } from '../../support/test-app.ts';
import { untilLed } from '../../support/topic.ts';
import { until } from '../../support/until.ts';
import { byKey, EventWorld } from '../event-log/event-world.ts';

const soon = () => AbortSignal.timeout(20_000);
const event = (key: string, sequence: number, text = ''): AtlasEvent => ({
  owner: 'owner',
  type: 'test.told.v1',
  key,
  sequence,
  occurredAt: '2026-01-01T00:00:00.000Z',
  data: { text },
});

describe.if(isKafkaHere())('the event log on Kafka', () => {
  let world: EventWorld;
  let client: Kafka;
  let admin: Admin;
  beforeEach(async () => {
    world = await EventWorld.open('kafka');
    const { brokers } = await sharedTestKafka();
    client = new Kafka({ brokers: [brokers], logLevel: logLevel.NOTHING });
    admin = client.admin();
    await admin.connect();
  }, START_TIMEOUT_MS);
  afterEach(async () => {
    await admin.disconnect();
    await world.close();
  });
  const topic = () => `${world.prefix}.events`;
  const limitMessages = (bytes: number) =>
    admin.alterConfigs({
      validateOnly: false,
      resources: [
        {
          type: ConfigResourceTypes.TOPIC,
          name: topic(),
          configEntries: [{ name: 'max.message.bytes', value: String(bytes) }],
        },
      ],
    });

  test('creates its topic with twelve partitions, replicated on all brokers', async () => {
    const publisher = world.openLog().publisher!;
    await publisher.open(soon());
    await publisher.close();
    const [{ partitions } = { partitions: [] }] = (await admin.fetchTopicMetadata({ topics: [topic()] }))
      .topics;
    expect(partitions.map(({ replicas }) => replicas.length)).toEqual(Array(12).fill(1));
  });

  test('rejects a publisher once another one has opened', async () => {
    const old = world.openLog().publisher!;
    const successor = world.openLog().publisher!;
    await old.open(soon());
    expect(await old.publish([event('key', 0)], soon())).toEqual([]);
    await successor.open(soon());
    const error = await old.publish([event('key', 1, 'late')], soon()).catch((thrown: unknown) => thrown);
    expect(isFenced(error)).toBe(true);
    await successor.publish([event('key', 1, 'right')], soon());
    const texts: unknown[] = [];
    world.consume('fenced', async (events) => void texts.push(...events.map(({ data }) => data.text)));
    await until(() => texts.length === 2);
    expect(texts).toEqual(['', 'right']);
    await Promise.all([old.close(), successor.close()]);
  });

  test('receives nothing from a relay that opens after its successor, because it rechecks its lease', async () => {
    const log = world.openLog();
    const { publisher } = log;
    let published = 0;
    const hasDecided = Promise.withResolvers<void>();
    const late: EventPublisher = {
      async open(signal) {
        // While it opens, its lease expires and another relay takes over.
        await world.sql`UPDATE relay SET epoch = epoch + 1, holder = 'other', expires_at = now() + interval '9 seconds'`;
        await publisher!.open(signal);
      },
      publish: (events, signal) => {
        published++;
        hasDecided.resolve();
        return publisher!.publish(events, signal);
      },
      close() {
        hasDecided.resolve();
        return publisher!.close();
      },
    };
    await world.tell('key', 0);
    const relay = world.relay({ ...log, publisher: late });
    const relaying = world.run((signal) => relay.loop.run(signal));
    await hasDecided.promise;
    await relaying.stop();
    expect(published).toBe(0);
    expect(relay.stats()).toMatchObject({ sent: 0, isLeading: false, failures: 0 });
    expect(await world.unsent()).toBe(1);
    const [row] = await world.sql`SELECT holder FROM relay WHERE expires_at > now()`;
    expect(row!.holder).toBe('other');
  });

  test('applies events once that a relay published again after a crash', async () => {
    const [a = '', b = ''] = await world.openAccounts(2);
    await world.post([
      [a, b],
      [b, a],
    ]);
    const log = world.openLog();
    const { unsent } = await world.repository.read(100, true);
    await log.publisher!.open(soon());
    await log.publisher!.publish(
      unsent.map((each) => each.event!),
      soon(),
    );
    await log.publisher!.close();
    // The next relay publishes them again, and then a new event.
    await world.relayAll();
    await world.tell('end', 0);
    await world.relayAll();
    const reader = world.openLog();
    world.consume('once', undefined, reader);
    const effects = await world.effectsOf('once', 7);
    await until(() => reader.consumer.stats()[0]!.repeated === 6);
    expect(byKey(effects)).toEqual(
      new Map(
        [...[a, b].sort().map((id): [string, number[]] => [id, [0, 1, 2]]), ['end', [0]]].sort() as [
          string,
          number[],
        ][],
      ),
    );
  });

  test('parks only the key of an event that is too large, and publishes it in order once it fits', async () => {
    const [small = '', large = ''] = await world.openAccounts(2);
    await world.relayAll();
    await limitMessages(3000);
    const heavy = Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`member${i}`, 'x'.repeat(480)]));
    const [other = ''] = await world.openAccounts(1);
    await world.post([[large, other]], heavy);
    await world.post([[small, large]]);
    await world.relayAll();
    const parked = await world.repository.listParked(10);
    expect(parked.map(({ key }) => key).sort()).toEqual([large, other].sort());
    expect(parked.map(({ reason }) => reason)).toEqual(Array(2).fill(expect.stringContaining('too large')));
    world.consume('size');
    expect(byKey(await world.effectsOf('size', 4)).get(small)).toEqual([0, 1]);
    await limitMessages(100_000);
    await world.post([[small, large]]);
    expect(await world.repository.retry(null)).toBe(2);
    const relaying = world.run((signal) => world.relay().loop.run(signal));
    const effects = await world.effectsOf('size', 9);
    await relaying.stop();
    expect(byKey(effects).get(large)).toEqual([0, 1, 2, 3]);
    expect(byKey(effects).get(other)).toEqual([0, 1]);
    expect(byKey(effects).get(small)).toEqual([0, 1, 2]);
    expect(await world.repository.listParked(10)).toEqual([]);
  });

  /** Lowers the limit and waits until the broker enforces it. */
  async function becomeStrict(): Promise<void> {
    await limitMessages(900);
    const producer = client.producer({ createPartitioner: Partitioners.DefaultPartitioner });
    await producer.connect();
    const value = 'x'.repeat(1000);
    // About one key per partition. Messages that still get through are undecodable, and consumers skip them.
    const messages = Array.from({ length: 64 }, (_, i) => ({ key: `${i}`, value }));
    const isAccepted = (message: { key: string; value: string }) =>
      producer.send({ topic: topic(), messages: [message] }).then(Boolean, () => false);
    await until(async () => !(await Promise.all(messages.map(isAccepted))).some(Boolean));
    await producer.disconnect();
  }

  test('finds the event that the broker rejects in a batch, and parks only its key', async () => {
    const log = world.openLog();
    const { publisher } = log;
    // The limit is high whenever the publisher reads it, and is lowered afterwards.
    const misled: EventPublisher = {
      async open(signal) {
        if ((await admin.listTopics()).includes(topic())) await limitMessages(100_000);
        await publisher!.open(signal);
        await becomeStrict();
      },
      publish: (events, signal) => publisher!.publish(events, signal),
      close: () => publisher!.close(),
    };
    await misled.open(soon());
    const refused = await misled
      .publish([event('key', 0, 'x'.repeat(2000))], soon())
      .catch((thrown: unknown) => thrown);
    expect(refused).toBeInstanceOf(BatchRefused);
    for (let i = 0; i < 5; i++) await world.tell(`key-${i}`, 0);
    await world.sql`UPDATE outbox SET data = ${world.sql.json({ text: 'x'.repeat(2000) })} WHERE key = 'key-2'`;
    await world.tell('key-2', 1);
    await world.relayAll(world.relay({ ...log, publisher: misled }, 100));
    expect(await world.repository.listParked(10)).toMatchObject([
      { key: 'key-2', waiting: 2, reason: 'Kafka rejected it: MESSAGE_TOO_LARGE' },
    ]);
    world.consume('halves');
    const effects = await world.effectsOf('halves', 4);
    expect(effects.map(({ key }) => key).sort()).toEqual(['key-0', 'key-1', 'key-3', 'key-4']);
  });

  test('recovers events that Kafka lost from PostgreSQL, in order and once', async () => {
    for (let i = 0; i < 3; i++) await world.tell('key', i);
    await world.relayAll();
    const before = world.consume('heals');
    await world.effectsOf('heals', 3);
    await before.stop();
    for (let i = 3; i < 6; i++) await world.tell('key', i);
    await world.relayAll();
    const ends = await untilLed(() => admin.fetchTopicOffsets(topic()));
    await admin.deleteTopicRecords({
      topic: topic(),
      partitions: ends.map(({ partition, high }) => ({ partition, offset: high })),
    });
    await world.tell('key', 6);
    await world.relayAll();
    const log = world.openLog();
    world.consume('heals', undefined, log);
    const effects = await world.effectsOf('heals', 7);
    expect(effects.map(({ sequence }) => sequence)).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(log.consumer.stats()[0]!.recovered).toBe(3);
  });

  test('skips undecodable messages and reports them', async () => {
    await world.tell('key', 0);
    await world.relayAll();
    const producer = client.producer({ createPartitioner: Partitioners.DefaultPartitioner });
    await producer.connect();
    await producer.send({ topic: topic(), messages: [{ key: 'key', value: 'not an event' }] });
    await producer.disconnect();
    await world.tell('key', 1);
    await world.relayAll();
    const log = world.openLog();
    world.consume('strict', undefined, log);
    const effects = await world.effectsOf('strict', 2);
    expect(effects.map(({ sequence }) => sequence)).toEqual([0, 1]);
    expect(log.consumer.stats()[0]!.undecodable).toBe(1);
    expect(world.warnings.some((text) => text.includes('undecodable message'))).toBe(true);
  });

  test('leaves no member in the group of a consumer that stopped while joining', async () => {
    await world.tell('key', 0);
    await world.relayAll();
    for (let ms = 0; ms < 250; ms += 50) {
      const joining = world.consume('hasty', async () => {});
      await Bun.sleep(ms);
      await joining.stop();
    }
    await world.tell('key', 1);
    await world.relayAll();
    let last = -1;
    world.consume('hasty', async (events) => {
      last = events.at(-1)!.sequence;
    });
    await until(() => last === 1);
    const group = `${world.prefix}.hasty`;
    const members = async () => (await admin.describeGroups([group])).groups[0]!.members.length;
    await until(async () => (await members()) === 1);
  });

  test('reports the ends of its partitions, and the positions of consumers', async () => {
    for (let i = 0; i < 3; i++) await world.tell('key', i);
    await world.relayAll();
    const log = world.openLog();
    const ends = await untilLed(() => log.ends(soon()));
    expect(ends.size).toBe(12);
    const reading = world.consume('lag');
    await world.effectsOf('lag', 3);
    await reading.stop();
    const [row] = await world.sql`SELECT partition, position FROM consumer_offsets WHERE consumer = 'lag'`;
    expect(row!.position).toBe(ends.get(row!.partition));
  });
});
