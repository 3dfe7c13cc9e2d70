import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import type { Admin } from 'kafkajs';
import { createKafkaClient } from '../../../src/adapters/kafka/kafka-client.ts';
import { clientIdOf } from '../../../src/adapters/kafka/kafka-lost-members.ts';
import { isKafkaHere, sharedTestKafka } from '../../support/kafka.ts';
import { joinKafkaGroup, type KafkaMember } from '../../support/kafka-member.ts';
import { START_TIMEOUT_MS } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';
import { EventWorld } from '../event-log/event-world.ts';

const CONSUMER = 'group';
const TIMEOUT_MS = 30_000;

describe.if(isKafkaHere())('a consumer group', () => {
  let world: EventWorld;
  let brokers: string;
  let admin: Admin;
  const ends: (() => Promise<void>)[] = [];
  beforeEach(async () => {
    world = await EventWorld.open('kafka');
    ({ brokers } = await sharedTestKafka());
    admin = createKafkaClient({ brokers: [brokers] }, () => {}).admin();
    await admin.connect();
    await world.tell('key', 0);
    await world.relayAll();
    // A new Kafka must first load the coordinator of the group.
    const topics = [`${world.prefix}.events`];
    await until(() =>
      admin.fetchOffsets({ groupId: groupId(), topics }).then(
        () => true,
        () => false,
      ),
    );
  }, START_TIMEOUT_MS);
  afterEach(async () => {
    for (const end of ends.splice(0)) await end();
    await admin.disconnect();
    await world.close();
  });

  const groupId = () => `${world.prefix}.${CONSUMER}`;
  const members = async () => (await admin.describeGroups([groupId()])).groups[0]!.members;
  const clientIds = async () => (await members()).map(({ clientId }) => clientId);

  async function join(clientId: string): Promise<KafkaMember> {
    const topic = `${world.prefix}.events`;
    const member = await joinKafkaGroup({ brokers, groupId: groupId(), topic, clientId });
    ends.push(member.end);
    return member;
  }

  const renew = (id: string) =>
    world.sql`INSERT INTO incarnations VALUES (${id}, now() + interval '5 minutes')`;

  /** Joins as a process with this incarnation, and dies, which nobody knows yet. */
  async function joinAndDie(id: string): Promise<void> {
    await renew(id);
    (await join(clientIdOf(id, 1))).cut();
    expect(await clientIds()).toContain(clientIdOf(id, 1));
  }

  test(
    'does not wait for the session of a member whose process has exited',
    async () => {
      await joinAndDie('exited');
      await world.incarnation.reap('exited');
      world.consume(CONSUMER);
      await world.effectsOf(CONSUMER, 1);
      expect(await clientIds()).toHaveLength(1);
    },
    TIMEOUT_MS,
  );

  test(
    'does not wait for the session of a member whose process is silent',
    async () => {
      await joinAndDie('silent');
      await world.sql`UPDATE incarnations SET expires_at = now() - interval '1 second' WHERE id = 'silent'`;
      world.consume(CONSUMER);
      await world.effectsOf(CONSUMER, 1);
    },
    TIMEOUT_MS,
  );

  test(
    'keeps members that are alive, those of the release before, and those of others',
    async () => {
      await renew('alive');
      const kept = [clientIdOf('alive', 1), 'atlas', 'atlas-other', 'other'];
      const before: string[] = [];
      for (const clientId of kept) before.push((await join(clientId)).memberId);
      world.consume(CONSUMER);
      await until(async () => (await clientIds()).length === kept.length + 1);
      await joinAndDie('dead');
      await world.incarnation.reap('dead');
      await until(async () => !(await clientIds()).includes(clientIdOf('dead', 1)));
      // A member that is removed and joins again has another id.
      const after = (await members()).map(({ memberId }) => memberId);
      expect(after).toEqual(expect.arrayContaining(before));
    },
    TIMEOUT_MS,
  );

  test(
    'takes back a member that was wrongly believed dead, and does not remove it again',
    async () => {
      const believesNobody = {
        hold: async () => 'unbelieving',
        deadAmong: async (ids: readonly string[]) => ids,
      };
      world.consume(CONSUMER);
      await world.effectsOf(CONSUMER, 1);
      const [before] = await members();
      world.consume(CONSUMER, world.writer(CONSUMER), world.openLog(believesNobody));
      const others = async () => (await members()).filter(({ clientId }) => clientId === before!.clientId);
      const after = await until(async () => {
        const [member] = await others();
        return member !== undefined && member.memberId !== before!.memberId && member;
      });
      for (let sequence = 1; sequence <= 40; sequence++) {
        await world.tell('key', sequence);
        await world.tell(`key-${sequence}`, 0);
      }
      await world.relayAll();
      await world.effectsOf(CONSUMER, 81);
      expect(await others()).toMatchObject([{ memberId: after.memberId }]);
      const effects = (await world.effects(CONSUMER)).map(({ key, sequence }) => `${key} ${sequence}`);
      expect(new Set(effects).size).toBe(effects.length);
    },
    TIMEOUT_MS,
  );

  test(
    'has no member left of a consumer that stopped while it waited to join',
    async () => {
      await joinAndDie('alive');
      const joining = world.consume(CONSUMER);
      await until(async () => (await clientIds()).length === 2);
      await joining.stop();
      expect(await clientIds()).toEqual([clientIdOf('alive', 1)]);
    },
    TIMEOUT_MS,
  );
});
