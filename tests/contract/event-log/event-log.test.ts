import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { EventGapError } from '../../../src/adapters/event-log/inbox.ts';
import { isKafkaHere } from '../../support/kafka.ts';
import { START_TIMEOUT_MS } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';
import { byKey, EventWorld, type LogKind, upTo } from './event-world.ts';

const KINDS: readonly LogKind[] = isKafkaHere() ? ['postgresql', 'kafka'] : ['postgresql'];

describe.each(KINDS)('the event log on %s', (kind) => {
  let world: EventWorld;
  beforeEach(async () => {
    world = await EventWorld.open(kind);
  }, START_TIMEOUT_MS);
  afterEach(() => world.close());

  /** Posts transfers between the accounts concurrently. Returns the number of transfers of each account. */
  async function postMuch(accounts: readonly string[], batches: number): Promise<Map<string, number>> {
    const versions = new Map(accounts.map((id) => [id, 0]));
    const all = Array.from({ length: batches }, (_, i) =>
      Array.from({ length: 5 }, (_, j): [string, string] => {
        const debit = accounts[(i + j) % accounts.length]!;
        const credit = accounts[(i + j + 1 + (i % 2)) % accounts.length]!;
        for (const id of [debit, credit]) versions.set(id, versions.get(id)! + 1);
        return [debit, credit];
      }),
    );
    await Promise.all(all.map((pairs) => world.post(pairs)));
    return versions;
  }

  test('delivers every event once, in order per key, while more are posted', async () => {
    const accounts = await world.openAccounts(5);
    const consuming = world.consume('first');
    const relaying = world.run((signal) => world.relay().loop.run(signal));
    const versions = await postMuch(accounts, 20);
    const total = accounts.length + 2 * 20 * 5;
    const effects = await world.effectsOf('first', total);
    await consuming.stop();
    await relaying.stop();
    expect(effects.length).toBe(total);
    expect(byKey(effects)).toEqual(
      new Map([...byKey(effects).keys()].map((key) => [key, upTo(versions.get(key)!)])),
    );
    expect(byKey(effects).size).toBe(accounts.length);
  });

  test('delivers to a second consumer every stored event, from the beginning', async () => {
    const accounts = await world.openAccounts(3);
    await postMuch(accounts, 3);
    await world.relayAll();
    const seen: unknown[] = [];
    world.consume('late', async (events, tx) => {
      seen.push(...events);
      await world.writer('late')(events, tx);
    });
    await world.effectsOf('late', 3 + 2 * 3 * 5);
    const kept = await world.sql`
      SELECT e.owner, e.type, e.key, e.sequence, t.amount, t.id AS transfer_id
        FROM events e LEFT JOIN transfers t ON t.id = e.transfer_id ORDER BY e.key, e.sequence`;
    const order = (a: { key: string; sequence: number }, b: { key: string; sequence: number }) =>
      a.key < b.key ? -1 : a.key > b.key ? 1 : a.sequence - b.sequence;
    const told = (seen as { key: string; sequence: number; data: Record<string, unknown> }[]).sort(order);
    expect(told.map(({ key, sequence }) => [key, sequence])).toEqual(kept.map((e) => [e.key, e.sequence]));
    expect(told.map(({ data }) => data.transferId ?? null)).toEqual(kept.map((e) => e.transferId));
    expect(told.map(({ data }) => data.amount ?? null)).toEqual(kept.map((e) => e.amount));
  });

  test('rolls back a batch whose handler fails, stops there, and delivers the whole batch again', async () => {
    await world.openAccounts(4);
    await world.relayAll();
    const failing = world.consume('fails', async (events, tx) => {
      await world.writer('fails')(events, tx);
      throw new Error('after its effect');
    });
    expect(await failing.ended.catch((error: Error) => error.message)).toBe('after its effect');
    expect(await world.effects('fails')).toEqual([]);
    world.consume('fails');
    const effects = await world.effectsOf('fails', 4);
    expect([...byKey(effects).values()]).toEqual([[0], [0], [0], [0]]);
  });

  test('resumes after the last committed effect, whichever process ran the consumer before', async () => {
    const [a = ''] = await world.openAccounts(1);
    await world.relayAll();
    const before = world.consume('moves');
    await world.effectsOf('moves', 1);
    await before.stop();
    const [b = ''] = await world.openAccounts(1);
    await world.post([[a, b]]);
    await world.relayAll();
    world.consume('moves');
    const effects = await world.effectsOf('moves', 4);
    expect(byKey(effects)).toEqual(
      new Map([
        [a, [0, 1]],
        [b, [0, 1]],
      ]),
    );
  });

  test('applies nothing twice when a position is lost: it reads from the beginning and skips duplicates', async () => {
    const accounts = await world.openAccounts(3);
    await postMuch(accounts, 2);
    await world.relayAll();
    const before = world.consume('forgets');
    const effects = await world.effectsOf('forgets', 3 + 20);
    await before.stop();
    await world.sql`DELETE FROM consumer_offsets WHERE consumer = 'forgets'`;
    const log = world.openLog();
    world.consume('forgets', undefined, log);
    await until(() => log.consumer.stats().some(({ repeated }) => repeated === effects.length));
    expect(await world.effects('forgets')).toEqual(effects);
  });

  test('shares the work between two processes of one consumer, and applies nothing twice', async () => {
    const accounts = await world.openAccounts(6);
    const members = [world.consume('pair'), world.consume('pair')];
    const relaying = world.run((signal) => world.relay().loop.run(signal));
    const versions = await postMuch(accounts, 12);
    // One of them leaves midway.
    await members[0]!.stop();
    await postMuch(accounts, 4);
    const effects = await world.effectsOf('pair', 6 + 2 * 16 * 5);
    await relaying.stop();
    expect(effects.length).toBe(6 + 2 * 16 * 5);
    for (const [key, sequences] of byKey(effects)) {
      expect(sequences).toEqual(upTo(sequences.length - 1));
      expect(sequences.length).toBeGreaterThan(versions.get(key)!);
    }
  });

  test('loses no event whose writer got its number first and committed last', async () => {
    const late = Promise.withResolvers<void>();
    const isNumbered = Promise.withResolvers<void>();
    const writing = world.db.transaction(async (tx) => {
      await world.tell('late', 0, tx);
      isNumbered.resolve();
      await late.promise;
    });
    await isNumbered.promise;
    await world.tell('early', 0);
    const relaying = world.run((signal) => world.relay().loop.run(signal));
    await until(async () => (await world.sql`SELECT FROM events WHERE key = 'early'`).length === 1);
    late.resolve();
    await writing;
    world.consume('both');
    const effects = await world.effectsOf('both', 2);
    await relaying.stop();
    expect(effects.map(({ key }) => key).sort()).toEqual(['early', 'late']);
  });

  test('numbers sent events without a gap, and leaves nothing in the outbox', async () => {
    await postMuch(await world.openAccounts(4), 5);
    await world.relayAll();
    const positions = (await world.sql`SELECT position FROM events ORDER BY position`).map(
      (row) => row.position,
    );
    expect(positions).toEqual(upTo(4 + 50).slice(1));
    expect((await world.sql`SELECT last_position FROM relay`)[0]!.lastPosition).toBe(54);
  });

  test('accepts nothing from a relay with an old epoch', async () => {
    const { repository } = world;
    const epoch = (await repository.take('old', 1))!;
    await world.tell('key', 0);
    const { unsent: batch } = await repository.read(10, false);
    await until(async () => (await repository.take('new', 60_000)) !== null);
    expect(await repository.mark(epoch, [batch[0]!.rowId], [])).toBeNull();
    expect(await repository.renew(epoch, 60_000)).toBe(false);
    // It cannot end its successor's lease either.
    await repository.giveUp(epoch);
    expect(await repository.take('third', 60_000)).toBeNull();
    expect(await world.unsent()).toBe(1);
    expect(await world.sql`SELECT FROM events`).toHaveLength(0);
  });

  test('parks only the key that has a gap, and its later events wait in order', async () => {
    await world.tell('good', 0);
    await world.tell('bad', 0);
    await world.tell('bad', 2);
    await world.tell('bad', 3);
    await world.tell('good', 1);
    await world.relayAll();
    await world.tell('bad', 4);
    await world.tell('good', 2);
    await world.relayAll();
    world.consume('parks');
    const effects = await world.effectsOf('parks', 4);
    expect(byKey(effects)).toEqual(
      new Map([
        ['good', [0, 1, 2]],
        ['bad', [0]],
      ]),
    );
    const [parked] = await world.repository.listParked(10);
    expect(parked).toMatchObject({ key: 'bad', waiting: 3, retry: false });
    expect(parked!.reason).toContain('event 2 does not follow event 0');
    expect(world.warnings.filter((text) => text.includes('parked'))).toHaveLength(1);
  });

  test('sends parked events first and in order on a retry, then newer ones', async () => {
    for (const sequence of [0, 2, 3]) await world.tell('key', sequence);
    await world.relayAll();
    // An operator inserts the missing event by hand.
    await world.sql`
      INSERT INTO parked_events (key, sequence, owner, type, occurred_at, data)
      VALUES ('key', 1, 'owner', 'test.told.v1', now(), '{}')`;
    expect(await world.repository.retry('another')).toBe(0);
    expect(await world.repository.retry('key')).toBe(1);
    await world.tell('key', 4);
    await world.relayAll();
    const relaying = world.run((signal) => world.relay().loop.run(signal));
    world.consume('again');
    const effects = await world.effectsOf('again', 5);
    await relaying.stop();
    expect(effects.map(({ sequence }) => sequence)).toEqual([0, 1, 2, 3, 4]);
    expect(await world.repository.listParked(10)).toEqual([]);
  });

  test('parks a key again on a retry if the cause persists', async () => {
    for (const sequence of [0, 2]) await world.tell('key', sequence);
    await world.relayAll();
    await world.repository.retry(null);
    const relaying = world.run((signal) => world.relay().loop.run(signal));
    await until(async () => (await world.repository.listParked(1))[0]!.retry === false);
    await relaying.stop();
    expect(await world.repository.listParked(10)).toMatchObject([{ key: 'key', waiting: 1 }]);
    expect(await world.sql`SELECT FROM events WHERE key = 'key'`).toHaveLength(1);
  });

  test('never skips a gap: the consumer stops and reports what is missing', async () => {
    await world.tell('key', 0);
    await world.relayAll();
    const before = world.consume('gap');
    await world.effectsOf('gap', 1);
    await before.stop();
    // As if events 6 and 7 were in neither log.
    await world.sql`UPDATE inbox SET sequence = 5 WHERE consumer = 'gap'`;
    await world.sql`
      INSERT INTO events (position, owner, type, key, sequence, occurred_at, data)
      VALUES (2, 'owner', 'test.told.v1', 'key', 8, now(), '{}')`;
    await world.sql`UPDATE relay SET last_position = 2`;
    await world.tell('key', 9);
    await world.relayAll();
    const error = await world.consume('gap').ended.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(EventGapError);
    expect((error as Error).message).toContain('cannot continue after event 5 of key');
    expect((error as Error).message).toContain('the next event in the log is 8');
    expect(await world.effects('gap')).toHaveLength(1);
  });
});
