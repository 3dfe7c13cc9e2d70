import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import { EventWorld } from '../contract/event-log/event-world.ts';
import { isKafkaHere, sharedTestKafka } from '../support/kafka.ts';
import { START_TIMEOUT_MS } from '../support/test-app.ts';
import { readTopic } from '../support/topic.ts';
import { until } from '../support/until.ts';

const PROCESS = join(import.meta.dir, 'relay-process.ts');
const TIMEOUT_MS = 60_000;

describe.if(isKafkaHere())('a relay whose process was stopped', () => {
  let world: EventWorld;
  let brokers: string;
  let child: Bun.Subprocess<'ignore', 'pipe', 'inherit'>;
  let output = '';
  beforeEach(async () => {
    world = await EventWorld.open('kafka');
    ({ brokers } = await sharedTestKafka());
    output = '';
  }, START_TIMEOUT_MS);
  afterEach(async () => {
    child.kill('SIGKILL');
    await child.exited;
    await world.close();
  });

  function startRelay(stop: 'before' | 'behind'): void {
    child = Bun.spawn([process.execPath, PROCESS], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: {
        ...process.env,
        DATABASE_URL: world.url,
        KAFKA_BROKERS: brokers,
        KAFKA_TOPIC_PREFIX: world.prefix,
        STOP: stop,
      },
    });
    void (async () => {
      const decoder = new TextDecoder();
      for await (const chunk of child.stdout) output += decoder.decode(chunk);
    })();
  }

  async function tellMany(from: number, count: number): Promise<void> {
    for (let i = from; i < from + count; i++) await world.tell('key', i);
  }

  test(
    'gets nothing into the topic when it wakes behind its successor, and notes nothing either',
    async () => {
      await tellMany(0, 20);
      startRelay('before');
      await until(() => output.includes('stopped'));
      // The successor has to wait for the end of the lease.
      await world.relayAll();
      const before = await world.sql`SELECT * FROM events ORDER BY position`;
      expect(before).toHaveLength(20);
      child.kill('SIGCONT');
      // It hears from Kafka or from PostgreSQL that it was replaced, whoever is sooner, and is the next one then.
      await until(() => output.split('this worker is now the event relay').length === 3);
      expect(output).toContain('awake');
      await tellMany(20, 5);
      await until(async () => (await world.unsent()) === 0);
      const sent = await readTopic(brokers, `${world.prefix}.events`);
      // Not one message comes twice: what the late one tried was refused.
      expect(sent.map(({ id }) => id)).toEqual(Array.from({ length: 25 }, (_, i) => `key:${i}`));
      expect((await world.sql`SELECT * FROM events ORDER BY position`).slice(0, 20)).toEqual([...before]);
    },
    TIMEOUT_MS,
  );

  test(
    'has one effect of what it sent and could not note: its successor sends that again',
    async () => {
      await tellMany(0, 20);
      startRelay('behind');
      await until(() => output.includes('stopped'));
      await world.relayAll();
      child.kill('SIGCONT');
      await until(() => output.includes('awake'));
      await tellMany(20, 5);
      await until(async () => (await world.unsent()) === 0);
      const sent = await readTopic(brokers, `${world.prefix}.events`);
      const sequences = sent.map(({ id }) => Number(id.split(':')[1]));
      // Its second batch came twice, and nothing that came first came out of order.
      expect(sequences.length).toBe(30);
      expect([...new Set(sequences)]).toEqual(Array.from({ length: 25 }, (_, i) => i));
      world.consume('once');
      const effects = await world.effectsOf('once', 25);
      expect(effects.map(({ sequence }) => sequence)).toEqual(Array.from({ length: 25 }, (_, i) => i));
    },
    TIMEOUT_MS,
  );
});
