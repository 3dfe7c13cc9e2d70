import { afterEach, beforeEach, expect, test } from 'bun:test';
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
