import { afterEach, beforeEach, expect, test } from 'bun:test';
import { DeferredEvents } from '../../../src/adapters/event-log/deferred-events.ts';
import { readSqlFunctions } from '../../../src/adapters/postgres/sql-functions.ts';
import type { AtlasEvent } from '../../../src/utils/event.ts';
import { EventWorld } from './event-world.ts';

const METADATA = { secret: 'of the payer' };
let world: EventWorld;
beforeEach(async () => {
  world = await EventWorld.open('postgresql');
});
afterEach(() => world.close());

/** The metadata in what the relay would send of credits, by the account that is credited. */
async function sentMetadata(): Promise<Record<string, unknown>> {
  const { unsent } = await world.repository.read(100, true);
  const credits = unsent.flatMap(({ event }) => (event?.type === 'account.credited.v1' ? [event] : []));
  return Object.fromEntries(credits.map(({ key, data }) => [key, data.metadata]));
}

test('what is sent outside, as to Kafka, hides the metadata of payers from other organizations', async () => {
  const [payer = '', own = ''] = await world.openAccounts(2);
  const [other = ''] = await world.openAccounts(1, 'other');
  await world.post(
    [
      [payer, own],
      [payer, other],
    ],
    METADATA,
  );
  expect(await sentMetadata()).toEqual({ [own]: METADATA, [other]: {} });
  await world.sql`UPDATE transfer_id_secret SET isolates_owners = false`;
  expect(await sentMetadata()).toEqual({ [own]: METADATA, [other]: METADATA });
  // By who has the accounts now.
  await world.sql`UPDATE transfer_id_secret SET isolates_owners = true`;
  await world.sql`UPDATE accounts SET owner = 'other' WHERE id = ${payer}`;
  expect(await sentMetadata()).toEqual({ [own]: {}, [other]: METADATA });
});

test('what is sent outside goes to those who had the accounts when it was posted, as in the log of this host', async () => {
  const [from = '', to = ''] = await world.openAccounts(2);
  await world.post([[from, to]]);
  await world.post([[from, to]]);
  await world.sql`UPDATE accounts SET owner = 'new' WHERE id = ${to}`;
  // As a host of an earlier release posts: that says nothing of owners.
  await world.sql`UPDATE outbox SET debit_owner = NULL, credit_owner = NULL WHERE debit_version = 2`;
  const { unsent } = await world.repository.read(100, true);
  const posted = unsent.flatMap(({ event }) => (event!.type === 'account.opened.v1' ? [] : [event!]));
  expect(posted.map(({ key, owner }) => [key, owner])).toEqual([
    [from, 'owner'],
    [to, 'owner'],
    [from, 'owner'],
    [to, 'new'],
  ]);
  const epoch = (await world.repository.take('test', 60_000))!;
  await world.repository.mark(epoch, [...new Set(unsent.map(({ rowId }) => rowId))], []);
  const sent = await world.sql<{ owner: string }[]>`
    SELECT owner FROM events WHERE transfer_id IS NOT NULL ORDER BY position`;
  expect(sent.map(({ owner }) => owner)).toEqual(['owner', 'owner', 'owner', 'new']);
});

test('what is deferred, as for an owner with many webhooks, hides the metadata of payers of other organizations', async () => {
  const [payer = '', own = ''] = await world.openAccounts(2);
  const [other = ''] = await world.openAccounts(1, 'other');
  await world.post(
    [
      [payer, own],
      [payer, other],
    ],
    METADATA,
  );
  await world.relayAll();
  const deferred = new DeferredEvents(world.db, 'webhooks');
  const credits = await world.sql<
    AtlasEvent[]
  >`SELECT key, sequence FROM events WHERE type = 'account.credited.v1'`;
  await world.db.transaction((tx) => deferred.defer(credits, tx));
  const handled: AtlasEvent[] = [];
  while (
    await deferred.turn(async (events) => {
      handled.push(...events);
    })
  );
  expect(Object.fromEntries(handled.map(({ key, data }) => [key, data.metadata]))).toEqual({
    [own]: METADATA,
    [other]: {},
  });
});

test('every SQL function that returns metadata of transfers decides who sees it, or its caller does', async () => {
  const returnsMetadata = (script: string) => /RETURNS TABLE \([^)]*\bmetadata jsonb\b/.test(script);
  const returned = (await readSqlFunctions()).filter(({ script }) => returnsMetadata(script));
  const undecided = returned.filter(({ script }) => !script.includes('SELECT isolates_owners'));
  // The relay decides for what it reads: see the first test.
  expect(undecided.map(({ name }) => name)).toEqual(['read_outbox']);
  expect(returned.map(({ name }) => name)).toContain('read_events');
});
