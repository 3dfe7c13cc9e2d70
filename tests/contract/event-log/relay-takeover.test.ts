import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { Incarnation } from '../../../src/adapters/postgres/incarnation.ts';
import { createRelayRepository } from '../../../src/features/events/relay/repository.ts';
import { START_TIMEOUT_MS } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';
import { EventWorld } from './event-world.ts';

const LEASE_MS = 60_000;

describe('the lease of the relay', () => {
  let world: EventWorld;
  let dying: Incarnation;
  beforeEach(async () => {
    world = await EventWorld.open('postgresql');
    dying = new Incarnation(world.db, 'dying');
  }, START_TIMEOUT_MS);
  afterEach(async () => {
    await dying.close();
    await world.close();
  });

  const takeWithDying = () => createRelayRepository(world.db, dying).take('dying', LEASE_MS);
  const waiting = () =>
    world.sql`SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
  const takeOver = () => world.repository.take('successor', LEASE_MS);

  test('ends with the process that has it, and the old epoch changes nothing from then on', async () => {
    const epoch = (await takeWithDying())!;
    expect(await takeOver()).toBeNull();
    await world.incarnation.reap('dying');
    expect(await takeOver()).toBe(epoch + 1);
    expect(await world.repository.renew(epoch, LEASE_MS)).toBe(false);
    expect(await world.repository.move(epoch, 10)).toBeNull();
    expect(await takeWithDying()).toBeNull();
  });

  test('is not taken from a process that took it just before and has just started', async () => {
    const { epoch, late } = await world.sql.begin(async (sql) => {
      await sql`SELECT FROM relay FOR UPDATE`;
      // Its statement has a snapshot now, and waits for the row.
      const late = takeOver();
      await until(async () => (await waiting()).count > 0);
      await dying.hold();
      const [row] = await sql<[{ epoch: number }]>`
        UPDATE relay SET epoch = epoch + 1, holder = 'dying', expires_at = clock_timestamp() + interval '1 minute',
          incarnation = 'dying', incarnation_epoch = epoch + 1 RETURNING epoch::int`;
      return { epoch: row.epoch, late };
    });
    expect(await late).toBeNull();
    expect(await world.repository.renew(epoch, LEASE_MS)).toBe(true);
  });

  test('ends when that process is silent', async () => {
    const epoch = (await takeWithDying())!;
    await dying.close();
    await world.sql`INSERT INTO incarnations VALUES ('dying', clock_timestamp() - interval '1 second')`;
    expect(await takeOver()).toBe(epoch + 1);
  });

  test('of a host of the release before lasts until it expires, even if a process had it that has died', async () => {
    const epoch = (await takeWithDying())!;
    await world.incarnation.reap('dying');
    await world.sql`
      UPDATE relay SET epoch = epoch + 1, holder = 'before', expires_at = clock_timestamp() + interval '5 seconds'`;
    expect(await takeOver()).toBeNull();
    await world.sql`UPDATE relay SET expires_at = '-infinity'`;
    expect(await takeOver()).toBe(epoch + 2);
  });
});
