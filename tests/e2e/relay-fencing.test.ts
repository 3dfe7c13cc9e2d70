import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import { EventWorld } from '../contract/event-log/event-world.ts';
import { isKafkaHere, sharedTestKafka } from '../support/kafka.ts';
import { START_TIMEOUT_MS } from '../support/test-app.ts';
import { readTopic } from '../support/topic.ts';
import { until } from '../support/until.ts';

const PROCESS = join(import.meta.dir, 'relay-process.ts');
const TIMEOUT_MS = 60_000;

describe.if(isKafkaHere())('a relay whose process was paused', () => {
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
    'writes nothing to the topic and records nothing when it wakes after its successor',
    async () => {
      await tellMany(0, 20);
      startRelay('before');
      await until(() => output.includes('stopped'));
      // The successor must wait for the lease to expire.
      await world.relayAll();
      const before = await world.sql`SELECT * FROM events ORDER BY position`;
      expect(before).toHaveLength(20);
      child.kill('SIGCONT');
      // Kafka or PostgreSQL, whichever is first, rejects it because it was replaced. Then it becomes the leader again.
      await until(() => output.split('this worker is now the event relay').length === 3);
      expect(output).toContain('awake');
      await tellMany(20, 5);
      await until(async () => (await world.unsent()) === 0);
      const sent = await readTopic(brokers, `${world.prefix}.events`);
      // No message is duplicated: the attempts of the late relay were refused.
      expect(sent.map(({ id }) => id)).toEqual(Array.from({ length: 25 }, (_, i) => `key:${i}`));
      expect((await world.sql`SELECT * FROM events ORDER BY position`).slice(0, 20)).toEqual([...before]);
    },
    TIMEOUT_MS,
  );

  test(
    'duplicates no effect of a batch that it sent and could not record: its successor sends it again',
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
      // Its second batch is duplicated, and first occurrences are in order.
      expect(sequences.length).toBe(30);
      expect([...new Set(sequences)]).toEqual(Array.from({ length: 25 }, (_, i) => i));
      world.consume('once');
      const effects = await world.effectsOf('once', 25);
      expect(effects.map(({ sequence }) => sequence)).toEqual(Array.from({ length: 25 }, (_, i) => i));
    },
    TIMEOUT_MS,
  );
});
