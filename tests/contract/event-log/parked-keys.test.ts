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
  const service = createRelayService(world.repository, async () => new Map(), 1000);
  const keys = (await service.listParked()).map(({ key }) => key);
  expect(keys).toEqual(Array.from({ length: 2500 }, (_, i) => `key-${2500 - i}`));
});
