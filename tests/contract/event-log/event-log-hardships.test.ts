import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import type { EventPublisher } from '../../../src/adapters/event-log/event-log.ts';
import { applyOnce } from '../../../src/adapters/event-log/inbox.ts';
import { Relay } from '../../../src/features/events/relay/relay.ts';
import { createLedgerRepository } from '../../../src/features/ledger/verification/repository.ts';
import type { Logger } from '../../../src/instrumentation/logger.ts';
import type { AtlasEvent } from '../../../src/utils/event.ts';
import { START_TIMEOUT_MS } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';
import { byKey, EventWorld, upTo } from './event-world.ts';

describe('the relay and the inbox under adverse conditions', () => {
  let world: EventWorld;
  beforeEach(async () => {
    world = await EventWorld.open('postgresql');
  }, START_TIMEOUT_MS);
  afterEach(() => world.close());

  test('continues with other keys when two events of a parked key have the same sequence', async () => {
    // In former releases, a caller could cause this by opening an account with the id of a file.
    await world.tell('both', 1);
    await world.relayAll();
    for (const sequence of [0, 2, 2, 2]) await world.tell('both', sequence);
    await world.tell('good', 0);
    await world.relayAll();
    expect(await world.sql`SELECT FROM events WHERE key = 'good'`).toHaveLength(1);
    expect(await world.repository.listParked(10)).toMatchObject([{ key: 'both', waiting: 4 }]);
    await world.repository.retry('both');
    const relaying = world.run((signal) => world.relay().loop.run(signal));
    await until(async () => (await world.repository.listParked(1))[0]!.retry === false);
    await relaying.stop();
    expect(await world.repository.listParked(10)).toMatchObject([{ key: 'both', waiting: 4 }]);
  });

  test('sends other keys while a key with a long backlog is retried', async () => {
    for (const sequence of [0, 2]) await world.tell('long', sequence);
    await world.relayAll();
    await world.sql`
      INSERT INTO parked_events (key, sequence, owner, type, occurred_at, data)
      SELECT 'long', n, 'owner', 'test.told.v1', now(), '{}' FROM generate_series(1, 100) n WHERE n <> 2`;
    await world.repository.retry('long');
    await world.tell('other', 0);
    const relaying = world.run((signal) => world.relay().loop.run(signal));
    await until(async () => (await world.repository.listParked(1)).length === 0);
    await relaying.stop();
    const sent = await world.sql`SELECT key, sequence FROM events ORDER BY position`;
    expect(sent.filter(({ key }) => key === 'long').map(({ sequence }) => sequence)).toEqual(upTo(100));
    expect(sent.at(-1)!.key).toBe('long');
  });

  test('assigns correct positions when the lease is renewed during a mark', async () => {
    const { repository, sql } = world;
    const epoch = (await repository.take('one', 60_000))!;
    for (let i = 0; i < 5; i++) await world.tell('key', i);
    const ids = (await repository.read(10, false)).unsent.map(({ rowId }) => rowId);
    let marking: Promise<unknown> = Promise.resolve();
    await sql.begin(async (tx) => {
      await tx`UPDATE relay SET expires_at = expires_at + interval '1 second'`;
      marking = repository.mark(epoch, ids, []);
      await until(
        async () =>
          (
            await sql`SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`
          ).length === 1,
      );
    });
    expect(await marking).toEqual({ lastPosition: 5, sent: 5 });
    expect(
      (await sql`SELECT position FROM events ORDER BY position`).map(({ position }) => position),
    ).toEqual(upTo(5).slice(1));
  });

  test('treats a lease that ends implausibly late as expired: the clock was set back', async () => {
    await world.sql`UPDATE relay SET holder = 'gone', expires_at = clock_timestamp() + interval '1 hour'`;
    expect(await world.repository.take('next', 5000)).not.toBeNull();
    expect(await world.repository.take('third', 5000)).toBeNull();
  });

  test('opens nothing and releases the lease when it is stopped while taking over', async () => {
    const { repository } = world;
    const ending = new AbortController();
    let opened = 0;
    const publisher: EventPublisher = {
      open: (signal) => {
        opened++;
        // Kafka hangs.
        return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      },
      publish: async () => [],
      close: async () => {},
    };
    const relay = new Relay({
      repository: {
        ...repository,
        async take(holder, leaseMs) {
          const epoch = await repository.take(holder, leaseMs);
          ending.abort();
          return epoch;
        },
      },
      publisher,
      holder: 'ends',
      logger: { info: () => {}, warn: () => {}, error: () => {} } as unknown as Logger,
    });
    await relay.loop.run(ending.signal);
    expect(opened).toBe(0);
    expect(await repository.take('successor', 5000)).not.toBeNull();
  });

  test('recovers lost events from PostgreSQL in portions, and those before the first event of a key too', async () => {
    const { sql } = world;
    await sql`
      INSERT INTO events (position, owner, type, key, sequence, occurred_at, data)
      SELECT n + 1, 'owner', 'test.told.v1', 'key', n, now(), '{}' FROM generate_series(0, 6999) n`;
    const event = (key: string, sequence: number): AtlasEvent => {
      return {
        owner: 'owner',
        type: 'test.told.v1',
        key,
        sequence,
        occurredAt: new Date().toISOString(),
        data: {},
      };
    };
    const handed: AtlasEvent[] = [];
    let largest = 0;
    const batch = [event('key', 7000), event('other', 0), event('key', 7001)];
    for (let isComplete = false; !isComplete; ) {
      const applied = await world.db.transaction((tx) =>
        applyOnce(tx, 'portions', batch, async (events) => {
          handed.push(...events);
          largest = Math.max(largest, events.length);
        }),
      );
      ({ isComplete } = applied);
    }
    expect(byKey(handed)).toEqual(
      new Map([
        ['key', upTo(7001)],
        ['other', [0]],
      ]),
    );
    expect(largest).toBeLessThan(3000);
  });

  test('verification finds a missing event of a transfer, even if its other event exists twice', async () => {
    const [a = '', b = ''] = await world.openAccounts(2);
    await world.post([[a, b]]);
    await world.relayAll();
    const { sql } = world;
    const ledger = createLedgerRepository(world.db);
    expect((await ledger.verify(null, 10)).discrepancies).toEqual([]);
    await sql`ALTER TABLE events DISABLE TRIGGER events_retained`;
    await sql`DELETE FROM events WHERE type = 'account.credited.v1'`;
    await sql`
      INSERT INTO parked_events (key, sequence, owner, type, occurred_at, transfer_id)
      SELECT key, sequence, owner, type, occurred_at, transfer_id FROM events WHERE transfer_id IS NOT NULL`;
    expect((await ledger.verify(null, 10)).discrepancies.map(({ kind }) => kind)).toEqual(['outbox_missing']);
  });
});
