import { afterEach, beforeEach, expect, test } from 'bun:test';
import { createRelayService } from '../../../src/features/events/relay/service.ts';
import { START_TIMEOUT_MS } from '../../support/test-app.ts';
import { EventWorld } from './event-world.ts';

let world: EventWorld;
beforeEach(async () => {
  world = await EventWorld.open('postgresql');
}, START_TIMEOUT_MS);
afterEach(() => world.close());

test('the list of parked keys has all of them, longest parked first', async () => {
  await world.sql`
    INSERT INTO parked_keys (key, reason, parked_at)
    SELECT 'key-' || n, 'a test', timestamptz '2026-01-01' - n * interval '1 second' FROM generate_series(1, 2500) n`;
  const service = createRelayService(world.repository, async () => new Map(), 1000, 90);
  const keys = (await service.listParked()).map(({ key }) => key);
  expect(keys).toEqual(Array.from({ length: 2500 }, (_, i) => `key-${2500 - i}`));
});

test('parked events that claim the same sequence are read together', async () => {
  await world.sql`
    INSERT INTO parked_events (key, sequence, owner, type, occurred_at, data)
    SELECT 'key', n / 2, 'owner', 'test.v1', now(), '{}' FROM generate_series(0, 7) n`;
  const read = async (eventsMax: number) => {
    const { unsent, hasMore } = await world.repository.readParked('key', eventsMax);
    return [unsent.map(({ sequence }) => sequence), hasMore];
  };
  expect(await read(3)).toEqual([[0, 0], true]);
  expect(await read(4)).toEqual([[0, 0, 1, 1], true]);
  expect(await read(8)).toEqual([[0, 0, 1, 1, 2, 2, 3, 3], false]);
});
