import { afterEach, beforeEach, expect, test } from 'bun:test';
import { START_TIMEOUT_MS } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';
import { byKey, EventWorld } from './event-world.ts';

let world: EventWorld;
beforeEach(async () => {
  world = await EventWorld.open('postgresql');
}, START_TIMEOUT_MS);
afterEach(() => world.close());

const handledBy = (log: ReturnType<EventWorld['openLog']>) => log.consumer.stats()[0]?.handled ?? 0;

test('events of owners without interest are recorded as seen, without being read', async () => {
  const accounts = await world.openAccounts(3);
  await world.post([[accounts[0]!, accounts[1]!]]);
  await world.relayAll();
  const log = world.openLog();
  const read: string[] = [];
  const consuming = world.consume(
    'bored',
    async (events) => void read.push(...events.map(({ key }) => key)),
    log,
    async () => [],
  );
  await until(() => handledBy(log) === 5);
  await consuming.stop();
  expect(read).toEqual([]);
  const seen = await world.sql<{ key: string; sequence: number }[]>`
    SELECT key, sequence FROM inbox WHERE consumer = 'bored'`;
  expect(new Map(seen.map(({ key, sequence }) => [key, sequence]))).toEqual(
    new Map([
      [accounts[0]!, 1],
      [accounts[1]!, 1],
      [accounts[2]!, 0],
    ]),
  );
});

test('an owner who takes interest gets the later events only, each once and in order', async () => {
  const [a = '', b = ''] = await world.openAccounts(2);
  const [other = ''] = await world.openAccounts(1, 'other');
  await world.post([[a, b]]);
  await world.relayAll();
  const log = world.openLog();
  let owners: string[] = [];
  const consuming = world.consume('starts', undefined, log, async () => owners);
  await until(() => handledBy(log) === 5);
  owners = ['owner'];
  for (let i = 0; i < 3; i++)
    await world.post([
      [a, b],
      [other, a],
    ]);
  await world.relayAll();
  const effects = await world.effectsOf('starts', 9);
  await consuming.stop();
  expect(byKey(effects)).toEqual(
    new Map([
      [a, [2, 3, 4, 5, 6, 7]],
      [b, [2, 3, 4]],
    ]),
  );
  expect(handledBy(log)).toBe(5 + 12);
});

test('what was recorded as seen is not delivered again when the position is lost', async () => {
  await world.openAccounts(4);
  await world.relayAll();
  const log = world.openLog();
  const consuming = world.consume('bored', undefined, log, async () => []);
  await until(() => handledBy(log) === 4);
  await consuming.stop();
  await world.sql`DELETE FROM consumer_offsets WHERE consumer = 'bored'`;
  const again = world.openLog();
  world.consume('bored', undefined, again);
  await until(() => again.consumer.stats()[0]?.repeated === 4);
  expect(await world.effects('bored')).toEqual([]);
});

test('a consumer beside the relay gets its events, and those of the relay that takes over', async () => {
  const [a = '', b = ''] = await world.openAccounts(2);
  await world.relayAll();
  const log = world.openLog();
  log.relayed(true);
  const consuming = world.consume('beside', undefined, log);
  await until(() => handledBy(log) === 2);
  await world.post([[a, b]]);
  await world.relayAll();
  log.relayed(true);
  await until(() => handledBy(log) === 4);
  log.relayed(false);
  await world.post([[a, b]]);
  await world.relayAll();
  await until(() => handledBy(log) === 6);
  await consuming.stop();
});
