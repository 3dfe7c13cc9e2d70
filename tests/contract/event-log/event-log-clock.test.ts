import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { createKafkaClient } from '../../../src/adapters/kafka/kafka-client.ts';
import { jumpClock, YEAR_MS } from '../../support/clock-jump.ts';
import { isKafkaHere, sharedTestKafka } from '../../support/kafka.ts';
import { START_TIMEOUT_MS } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';
import { byKey, EventWorld, type LogKind, upTo } from './event-world.ts';

const KINDS: readonly LogKind[] = isKafkaHere() ? ['postgresql', 'kafka'] : ['postgresql'];
const TIMEOUT_MS = 60_000;

describe.each(KINDS)('the event log on %s', (kind) => {
  let world: EventWorld;
  let back = () => {};
  beforeEach(async () => {
    world = await EventWorld.open(kind);
  }, START_TIMEOUT_MS);
  afterEach(async () => {
    back();
    await world.close();
  });

  test.each([
    ['ten years ahead', 10 * YEAR_MS],
    ['ten years behind', -10 * YEAR_MS],
  ])(
    'loses, duplicates and parks nothing when the clock of its host jumps %s',
    async (_, byMs) => {
      const accounts = await world.openAccounts(2);
      const relaying = world.run((signal) => world.relay().loop.run(signal));
      world.consume('jumps');
      await world.effectsOf('jumps', 2);
      back = jumpClock(byMs);
      for (let i = 0; i < 10; i++) await world.post([[accounts[0]!, accounts[1]!]]);
      await world.effectsOf('jumps', 2 + 20);
      back();
      await world.post([[accounts[0]!, accounts[1]!]]);
      const effects = await world.effectsOf('jumps', 2 + 22);
      await relaying.stop();
      expect(byKey(effects)).toEqual(new Map([...byKey(effects).keys()].map((key) => [key, upTo(11)])));
      expect(await world.repository.listParked(10)).toEqual([]);
      expect(world.warnings.filter((text) => text.includes('parked'))).toEqual([]);
    },
    TIMEOUT_MS,
  );

  test.if(kind === 'kafka')(
    'parks no key for a wrong host clock on a topic with timestamps of the sender',
    async () => {
      await makeTopic();
      const [a = '', b = ''] = await world.openAccounts(2);
      back = jumpClock(YEAR_MS);
      const relaying = world.run((signal) => world.relay().loop.run(signal));
      await until(() => world.warnings.some((text) => text.includes('events are not being sent')));
      expect(await world.repository.listParked(10)).toEqual([]);
      back();
      world.consume('patient');
      const effects = await world.effectsOf('patient', 2);
      await relaying.stop();
      expect(byKey(effects)).toEqual(new Map([...byKey(effects).keys()].map((key) => [key, [0]])));
      expect([...byKey(effects).keys()].sort()).toEqual([a, b].sort());
      expect(await world.repository.listParked(10)).toEqual([]);
    },
    TIMEOUT_MS,
  );

  /** Creates the topic as an operator might, with timestamps of the sender. */
  async function makeTopic(): Promise<void> {
    const admin = createKafkaClient({ brokers: [(await sharedTestKafka()).brokers] }, () => {}).admin();
    await admin.connect();
    const configEntries = [{ name: 'message.timestamp.type', value: 'CreateTime' }];
    await admin.createTopics({
      topics: [{ topic: `${world.prefix}.events`, numPartitions: 12, replicationFactor: 1, configEntries }],
    });
    await admin.disconnect();
  }
});
