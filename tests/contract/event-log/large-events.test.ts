import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { applyOnce } from '../../../src/adapters/event-log/inbox.ts';
import type { AtlasEvent } from '../../../src/utils/event.ts';
import { isKafkaHere } from '../../support/kafka.ts';
import { metadataOf } from '../../support/page-steps.ts';
import { START_TIMEOUT_MS } from '../../support/test-app.ts';
import { byKey, EventWorld, type LogKind, upTo } from './event-world.ts';

const KINDS: readonly LogKind[] = isKafkaHere() ? ['postgresql', 'kafka'] : ['postgresql'];
const MIB = 1_048_576;
const ITEM_BYTES = 80_000;
const TRANSFERS = 60;

describe.each(KINDS)('large events on %s', (kind) => {
  let world: EventWorld;
  let [debit, credit] = ['', ''];
  beforeEach(async () => {
    world = await EventWorld.open(kind);
    [debit = '', credit = ''] = await world.openAccounts(2);
    await world.post(
      Array.from({ length: TRANSFERS }, () => [debit, credit]),
      metadataOf(ITEM_BYTES),
    );
  }, START_TIMEOUT_MS);
  afterEach(() => world.close());

  const expectAll = (events: readonly Pick<AtlasEvent, 'key' | 'sequence'>[]) => {
    expect(byKey(events).get(debit)).toEqual(upTo(TRANSFERS));
    expect(byKey(events).get(credit)).toEqual(upTo(TRANSFERS));
  };

  test('reach a consumer in batches of about 1 MiB, each event once and in order', async () => {
    await world.relayAll(world.relay(undefined, 2000));
    const sizes: number[] = [];
    world.consume('large', async (events, tx) => {
      sizes.push(JSON.stringify(events).length);
      await world.writer('large')(events, tx);
    });
    expectAll(await world.effectsOf('large', 2 * (TRANSFERS + 1)));
    expect(Math.max(...sizes)).toBeLessThan(MIB + 2 * ITEM_BYTES);
  });

  test('that the log has lost are recovered in steps of about 1 MiB', async () => {
    await world.relayAll(world.relay(undefined, 2000));
    const [last] =
      await world.sql`SELECT owner, type, sequence FROM events WHERE key = ${debit} ORDER BY sequence DESC`;
    const { owner, type, sequence } = last!;
    const newest = { owner, type, key: debit, sequence, occurredAt: new Date().toISOString(), data: {} };
    const [seen, sizes]: [AtlasEvent[], number[]] = [[], []];
    const handle = async (events: readonly AtlasEvent[]) => {
      seen.push(...events);
      sizes.push(JSON.stringify(events).length);
    };
    for (let isComplete = false; !isComplete; )
      ({ isComplete } = await world.db.transaction((tx) => applyOnce(tx, 'recovering', [newest], handle)));
    expect(seen.map((event) => event.sequence)).toEqual(upTo(TRANSFERS));
    expect(Math.max(...sizes)).toBeLessThan(MIB + 2 * ITEM_BYTES);
  });

  test('that are parked move on in several batches once they are retried', async () => {
    await world.sql`INSERT INTO parked_keys (key, reason) VALUES (${debit}, 'a test'), (${credit}, 'a test')`;
    const relay = world.relay(undefined, 2000);
    await world.relayAll(relay);
    await world.sql`UPDATE parked_keys SET retry = true`;
    const relaying = world.run((signal) => relay.loop.run(signal));
    world.consume('retried');
    expectAll(await world.effectsOf('retried', 2 * (TRANSFERS + 1)));
    await relaying.stop();
    expect(await world.sql`SELECT FROM parked_keys`).toHaveLength(0);
  });
});
