import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import {
  createRetentionRepository,
  type ForgottenParked,
} from '../../../src/features/events/retention/repository.ts';
import { EventRetention } from '../../../src/features/events/retention/retention.ts';
import { createLedgerRepository } from '../../../src/features/ledger/verification/repository.ts';
import type { Logger } from '../../../src/instrumentation/logger.ts';
import { isKafkaHere } from '../../support/kafka.ts';
import { START_TIMEOUT_MS } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';
import { byKey, EventWorld, type LogKind, upTo } from './event-world.ts';

const KINDS: readonly LogKind[] = isKafkaHere() ? ['postgresql', 'kafka'] : ['postgresql'];
const DAYS = 90;

describe.each(KINDS)('the retention of events with the log on %s', (kind) => {
  let world: EventWorld;
  beforeEach(async () => {
    world = await EventWorld.open(kind);
    await migratedBefore(2);
  }, START_TIMEOUT_MS);
  afterEach(() => world.close());

  /** Sets when this database got its retention. */
  const migratedBefore = (days: number) => world.sql`
    UPDATE schema_migrations SET applied_at = now() - make_interval(days => ${days}) WHERE number = 9`;
  const retention = () => createRetentionRepository(world.db);
  const stored = async () =>
    (await world.sql<{ position: number }[]>`SELECT position FROM events ORDER BY position`).map(
      ({ position }) => position,
    );
  /** Makes everything that was sent, or is parked, this many days old. */
  const age = async (days: number, table: 'events' | 'parked_events' = 'events') => {
    await world.sql`ALTER TABLE ${world.sql(table)} DISABLE TRIGGER USER`;
    await world.sql`UPDATE ${world.sql(table)} SET occurred_at = now() - make_interval(days => ${days})`;
    await world.sql`ALTER TABLE ${world.sql(table)} ENABLE TRIGGER USER`;
  };
  const tellAll = async (key: string, first: number, last: number) => {
    for (let sequence = first; sequence <= last; sequence++) await world.tell(key, sequence);
  };

  test('deletes what is old and was read by every consumer, except the last event of the log', async () => {
    await tellAll('a', 0, 4);
    await world.relayAll();
    const fast = world.consume('fast');
    await world.effectsOf('fast', 5);
    await fast.stop();
    expect(await retention().forget(DAYS, 100)).toMatchObject({ forgotten: 0, overdueSeconds: 0 });
    await age(DAYS + 1);
    expect(await retention().forget(DAYS, 2)).toMatchObject({ forgotten: 2, unreadBy: null });
    expect(await stored()).toEqual([3, 4, 5]);
    expect(await retention().forget(DAYS, 100)).toMatchObject({ forgotten: 2 });
    expect(await retention().forget(DAYS, 100)).toMatchObject({ forgotten: 0, unreadBy: null });
    expect(await stored()).toEqual([5]);
    expect(await world.sql`SELECT owner, position FROM forgotten_events`).toMatchObject([
      { owner: 'owner', position: 4 },
    ]);
  });

  test('keeps ids of files and webhooks reserved that were deleted before there was a range for them', async () => {
    const [file, account] = [crypto.randomUUID(), crypto.randomUUID()];
    for (const key of [file, account]) await tellAll(key, 0, 1);
    await tellAll('newest', 0, 0);
    await world.relayAll();
    const reader = world.consume('reader');
    await world.effectsOf('reader', 5);
    await reader.stop();
    await age(DAYS + 1);
    await world.sql`ALTER TABLE events DISABLE TRIGGER USER`;
    await world.sql`UPDATE events SET type = CASE key WHEN ${file} THEN 'file.deleted.v1' ELSE 'account.opened.v1' END`;
    await world.sql`ALTER TABLE events ENABLE TRIGGER USER`;
    expect(await retention().forget(DAYS, 100)).toMatchObject({ forgotten: 4 });
    const open = (id: string) => world.sql`
      INSERT INTO accounts (id, owner, ledger, allow_negative, metadata)
      VALUES (${id}, 'somebody', 'EUR', false, '{}') RETURNING id`;
    expect(await open(file)).toHaveLength(0);
    expect(await open(crypto.randomUUID())).toHaveLength(1);
  });

  test('keeps and reports what a consumer has not read, and what no consumer has read', async () => {
    await tellAll('a', 0, 2);
    await world.relayAll();
    await age(DAYS + 2);
    expect(await retention().forget(DAYS, 100)).toMatchObject({ forgotten: 0, unreadBy: 'none' });
    const [fast, slow] = [world.consume('fast'), world.consume('slow')];
    await Promise.all(['fast', 'slow'].map((consumer) => world.effectsOf(consumer, 3)));
    await slow.stop();
    await tellAll('a', 3, 5);
    await world.relayAll();
    await world.effectsOf('fast', 6);
    await fast.stop();
    await age(DAYS + 2);
    const { forgotten, unreadBy, overdueSeconds } = await retention().forget(DAYS, 100);
    expect({ forgotten, unreadBy, days: Math.round(overdueSeconds! / 86_400) }).toEqual({
      forgotten: 3,
      unreadBy: 'slow',
      days: 2,
    });
    world.consume('slow');
    await world.effectsOf('slow', 6);
    expect(await retention().forget(DAYS, 100)).toMatchObject({ forgotten: 2, unreadBy: null });
    expect((await world.effects('slow')).map(({ sequence }) => sequence)).toEqual(upTo(5));
  });

  test('lets no gap pass: a key whose events were deleted continues with the next sequence only', async () => {
    await tellAll('quiet', 0, 2);
    await tellAll('last', 0, 0);
    await world.relayAll();
    const consuming = world.consume('reader');
    await world.effectsOf('reader', 4);
    await age(DAYS + 1);
    await retention().forget(DAYS, 100);
    expect(await world.sql`SELECT FROM events WHERE key = 'quiet'`).toHaveLength(0);
    await tellAll('quiet', 3, 3);
    await tellAll('quiet', 5, 5);
    await world.relayAll();
    await world.effectsOf('reader', 5);
    expect(await world.repository.listParked(10)).toMatchObject([
      { key: 'quiet', reason: 'event 5 does not follow event 3', waiting: 1 },
    ]);
    await consuming.stop();
    expect(byKey(await world.effects('reader')).get('quiet')).toEqual(upTo(3));
  });

  test('a new consumer starts with the oldest event that is stored', async () => {
    await tellAll('a', 0, 5);
    await world.relayAll();
    const first = world.consume('first');
    await world.effectsOf('first', 6);
    await first.stop();
    await age(DAYS + 1);
    await retention().forget(DAYS, 3);
    world.consume('late');
    // Kafka still has the older ones.
    const count = kind === 'kafka' ? 6 : 3;
    const effects = await world.effectsOf('late', count);
    expect(effects.map(({ sequence }) => sequence)).toEqual(upTo(5).slice(-count));
  });

  test('deletes parked events that nobody retried, says which, and the key goes on behind them', async () => {
    await tellAll('k', 0, 1);
    await world.relayAll();
    await tellAll('k', 3, 4);
    await world.relayAll();
    const consuming = world.consume('reader');
    await world.effectsOf('reader', 2);
    expect(await world.repository.listParked(10)).toMatchObject([{ key: 'k', waiting: 2 }]);
    expect(await retention().forgetParked(DAYS, 100)).toBeNull();
    await age(DAYS + 1, 'parked_events');
    const logged: unknown[] = [];
    const logger = { warn: () => {}, error: (facts: object) => void logged.push(facts) } as unknown as Logger;
    const job = new EventRetention({ repository: retention(), days: DAYS, logger });
    await job.run();
    expect(logged).toEqual([{ eventKey: 'k', firstSequence: 3, lastSequence: 4 }]);
    expect(job.stats()).toMatchObject({ forgottenParked: 2 });
    const relaying = world.run((signal) => world.relay().loop.run(signal));
    await until(async () => (await world.repository.listParked(10)).length === 0);
    await world.tell('k', 5);
    await world.effectsOf('reader', 3);
    await relaying.stop();
    await consuming.stop();
    expect((await world.effects('reader')).map(({ sequence }) => sequence)).toEqual([0, 1, 5]);
  });

  test('keeps parked events while a consumer has not read those before them, or a retry was requested', async () => {
    await tellAll('k', 0, 1);
    await world.relayAll();
    const consuming = world.consume('reader');
    await world.effectsOf('reader', 2);
    await consuming.stop();
    await world.tell('k', 2);
    await world.tell('k', 4);
    await world.relayAll();
    await age(DAYS + 1, 'parked_events');
    const forget = (): Promise<ForgottenParked | null> => retention().forgetParked(DAYS, 100);
    expect(await forget()).toBeNull();
    world.consume('reader');
    await world.effectsOf('reader', 3);
    await world.repository.retry('k');
    expect(await forget()).toBeNull();
    await world.sql`UPDATE parked_keys SET retry = false`;
    expect(await forget()).toMatchObject({ parkedKey: 'k', forgotten: 1 });
  });

  test('nothing is deleted on the day of the migration, while the release before may still run', async () => {
    await tellAll('a', 0, 2);
    await world.relayAll();
    const consuming = world.consume('reader');
    await world.effectsOf('reader', 3);
    await consuming.stop();
    await age(DAYS + 1);
    await migratedBefore(0);
    expect(await retention().forget(DAYS, 100)).toMatchObject({ forgotten: 0 });
    await migratedBefore(1);
    expect(await retention().forget(DAYS, 100)).toMatchObject({ forgotten: 2 });
  });

  test('a transfer whose events have expired is no discrepancy, and one whose events are missing still is', async () => {
    const [a = '', b = ''] = await world.openAccounts(2);
    for (let i = 0; i < 3; i++) await world.post([[a, b]]);
    await world.relayAll();
    const consuming = world.consume('reader');
    await world.effectsOf('reader', 8);
    await consuming.stop();
    await age(DAYS + 1);
    expect(await retention().forget(DAYS, 4)).toMatchObject({ forgotten: 4 });
    const ledger = createLedgerRepository(world.db);
    expect((await ledger.verify(null, 10)).discrepancies).toEqual([]);
    await world.sql`ALTER TABLE events DISABLE TRIGGER USER`;
    await world.sql`DELETE FROM events WHERE key = ${b} AND sequence = 3`;
    expect((await ledger.verify(null, 10)).discrepancies.map(({ kind }) => kind)).toEqual(['outbox_missing']);
  });

  test('one process deletes at a time, and the others leave it to that one', async () => {
    await world.sql.begin(async (tx) => {
      await tx`SELECT pg_advisory_xact_lock(5703951129318916)`;
      expect(await retention().forget(DAYS, 100)).toEqual({
        forgotten: 0,
        overdueSeconds: null,
        unreadBy: null,
      });
    });
  });

  test('nothing else deletes or changes an event', async () => {
    await world.tell('a', 0);
    await world.relayAll();
    await expect(world.sql`DELETE FROM events`.execute()).rejects.toThrow('events rows are immutable');
    await expect(world.sql`UPDATE events SET owner = 'eve'`.execute()).rejects.toThrow('immutable');
  });
});
