import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { createClient } from '../support/atlas-client.ts';
import type { ListedEvent } from '../support/event-steps.ts';
import { START_TIMEOUT_MS } from '../support/test-app.ts';
import { until } from '../support/until.ts';
import { areServicesHere, type FaultyAtlas, startFaultyAtlas, statusOf, timeUntil } from './faulty-atlas.ts';
import { type Payments, startSteadyPayments } from './payments.ts';

const FAULT_TIMEOUT_MS = 120_000;

describe.if(areServicesHere({ kafka: true }))('when Kafka', () => {
  let faulty: FaultyAtlas;
  let url: string;
  beforeAll(async () => {
    faulty = await startFaultyAtlas({ kafka: true });
    url = faulty.atlas.url;
  }, START_TIMEOUT_MS);
  afterAll(() => faulty?.stop(), START_TIMEOUT_MS);

  /** Expects two events for every payment, one per account, in order and without gaps. */
  async function expectEveryEvent(payments: Payments): Promise<void> {
    const client = createClient(url, faulty.key);
    const read = () => client.list<ListedEvent>('/v1/events', 'events');
    let events: ListedEvent[] = [];
    const isComplete = async () => {
      events = await read();
      const paid = new Set(events.flatMap(({ data }) => data.reference ?? []));
      return paid.size >= payments.acknowledged;
    };
    console.log(
      `every event was listed ${Math.round(await timeUntil('every payment has its events', isComplete))} ms later`,
    );
    expect(new Set(events.map(({ id }) => id)).size).toBe(events.length);
    const sequences = Map.groupBy(events, ({ subject }) => subject);
    for (const [subject, ofKey] of sequences)
      expect({ subject, sequences: ofKey.map(({ sequence }) => Number(sequence)) }).toEqual({
        subject,
        sequences: ofKey.map((_, place) => place + Number(ofKey[0]!.sequence)),
      });
  }

  async function expectUnharmed(payments: Payments): Promise<void> {
    const before = payments.acknowledged;
    await until(() => payments.acknowledged > before + 200);
    expect([...payments.statuses.keys()]).toEqual([201]);
    for (const path of ['/health/live', '/health/ready']) expect(await statusOf(`${url}${path}`)).toBe(200);
  }

  test(
    'is down: writes succeed, and their events wait and arrive in order after recovery',
    async () => {
      const payments = await startSteadyPayments(url, faulty.key);
      await faulty.kafka!.kill();
      await expectUnharmed(payments);
      await faulty.kafka!.restart();
      await payments.settle();
      await expectEveryEvent(payments);
    },
    FAULT_TIMEOUT_MS,
  );

  test(
    'is frozen, then continues: writes succeed, and no event is lost or duplicated',
    async () => {
      const payments = await startSteadyPayments(url, faulty.key);
      await faulty.kafka!.pause();
      await expectUnharmed(payments);
      faulty.kafka!.resume();
      await payments.settle();
      await expectEveryEvent(payments);
    },
    FAULT_TIMEOUT_MS,
  );

  test(
    'is cut off repeatedly while the relay sends: no event is lost or duplicated',
    async () => {
      const payments = await startSteadyPayments(url, faulty.key);
      for (let cut = 0; cut < 4; cut++) {
        await faulty.kafka!.proxy.disable();
        await expectUnharmed(payments);
        await faulty.kafka!.proxy.enable();
        await expectUnharmed(payments);
      }
      await payments.settle();
      await expectEveryEvent(payments);
    },
    FAULT_TIMEOUT_MS,
  );
});
