import { afterAll, beforeAll, expect, test } from 'bun:test';
import { DEMO } from '../../../src/utils/demo-data.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';

let atlas: TestApp;
beforeAll(async () => {
  atlas = await startTestApp();
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

const balances = async () =>
  (
    await atlas.sql`SELECT owner, credits_posted - debits_posted AS balance, version FROM accounts ORDER BY id`
  ).map(({ owner, balance, version }) => [owner, balance, version]);
const EXPECTED = [
  ['owner', -210_000, 3],
  ['owner', 100_000, 3],
  ['owner', 100_000, 3],
  ['owner', 0, 0],
  // Dollars, and what they were exchanged through: 10,834.5 is rounded to what is even.
  ['owner', 10_834, 1],
  ['owner', 10_000, 1],
  ['owner', -10_834, 1],
];
const seed = () => atlas.features.ledger.seed();

test('demo data belongs to the first organization, and repeating it changes nothing', async () => {
  await seed();
  expect(await balances()).toEqual(EXPECTED);
  await seed();
  expect(await balances()).toEqual(EXPECTED);
  expect((await atlas.call('GET', `/v1/transfers/${DEMO.transfer}`)).status).toBe(200);
});

test('demo data that a release before has posted, under another owner, is not posted again', async () => {
  await atlas.sql`TRUNCATE accounts, transfers, exchanges, account_exchanges, outbox, events, idempotency_keys`;
  await atlas.sql`UPDATE transfer_id_secret SET isolates_owners = false`;
  const { alice, bob, bank, spareAccount } = DEMO;
  const owner = 'seed';
  for (const [id, name, allowNegative] of [
    [bank, 'Demo bank', true],
    [alice, 'Alice', false],
    [bob, 'Bob', false],
    [spareAccount, 'Savings', false],
  ] as const)
    await atlas.features.ledger.accounts.open(
      id,
      DEMO.owner,
      {
        ledger: 'EUR',
        name,
        kind: null,
        allowNegative,
        metadata: { demo: 'true' },
      },
      { kind: 'command', id: 'test' },
    );
  const opening = [alice, bob].map((creditAccountId) => ({
    debitAccountId: bank,
    creditAccountId,
    amount: 100_000,
    reference: 'opening balance',
  }));
  await atlas.transfers.postBatch({ owner, key: 'opening-balances', path: 'seed' }, opening, true);
  const lunch = [
    { id: DEMO.transfer, debitAccountId: alice, creditAccountId: bob, amount: 950, reference: 'lunch' },
    { debitAccountId: bob, creditAccountId: alice, amount: 950, reference: 'lunch, paid back' },
  ];
  await atlas.transfers.postBatch({ owner, key: 'lunch', path: 'seed' }, lunch, true);
  for (const isOn of [false, true]) {
    await atlas.sql`UPDATE transfer_id_secret SET isolates_owners = ${isOn}`;
    await seed();
    expect(await balances()).toEqual(EXPECTED);
  }
});
