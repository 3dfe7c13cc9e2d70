import { beforeAll, expect, test } from 'bun:test';
import { freshDatabase } from '../../support/database.ts';
import {
  type AccountResource,
  openAccount,
  openFundedAccount,
  postTransfer,
} from '../../support/ledger-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';

beforeAll(() => freshDatabase(), START_TIMEOUT_MS);

interface Verification {
  readonly ok: boolean;
  readonly accounts: number;
  readonly transfers: number;
  readonly ledgers: readonly object[];
  readonly discrepancies: readonly { kind: string; at: string; expected: string; found: string }[];
}

/** Runs `work` on a ledger where the bank paid Alice 100, Alice paid 30 back, and the bank paid her 5. */
async function withLedger(
  work: (atlas: TestApp, bank: AccountResource, alice: AccountResource) => Promise<void>,
): Promise<void> {
  const atlas = await startTestApp();
  const bank = await openAccount(atlas);
  const alice = await openFundedAccount(atlas, bank, 100);
  await postTransfer(atlas, { debitAccountId: alice.id, creditAccountId: bank.id, amount: 30 });
  await postTransfer(atlas, { debitAccountId: bank.id, creditAccountId: alice.id, amount: 5 });
  await work(atlas, bank, alice);
  await atlas.close();
}

async function verify(atlas: TestApp): Promise<Verification> {
  const response = await atlas.call('GET', '/v1/operator/ledger/verification');
  expect(response.status).toBe(200);
  return (await response.json()) as Verification;
}

test('an empty ledger is consistent', async () => {
  const atlas = await startTestApp();
  expect(await verify(atlas)).toEqual({
    ok: true,
    accounts: 0,
    transfers: 0,
    ledgers: [],
    discrepancies: [],
  });
  await atlas.close();
});

test('a consistent ledger is ok, with the totals of each currency', () =>
  withLedger(async (atlas) => {
    await openAccount(atlas, { ledger: 'USD' });
    expect(await verify(atlas)).toEqual({
      ok: true,
      accounts: 3,
      transfers: 3,
      ledgers: [
        { ledger: 'EUR', accounts: 2, debitsPosted: '135', creditsPosted: '135' },
        { ledger: 'USD', accounts: 1, debitsPosted: '0', creditsPosted: '0' },
      ],
      discrepancies: [],
    });
  }));

test('totals of a ledger beyond 2^53−1 are exact', () =>
  withLedger(async (atlas) => {
    for (let i = 0; i < 2; i++) {
      const [from, to] = [await openAccount(atlas), await openAccount(atlas)];
      const amount = Number.MAX_SAFE_INTEGER;
      await postTransfer(atlas, { debitAccountId: from.id, creditAccountId: to.id, amount });
    }
    const sum = String(2n * BigInt(Number.MAX_SAFE_INTEGER) + 135n);
    const verification = await verify(atlas);
    expect(verification).toMatchObject({ ok: true, ledgers: [{ debitsPosted: sum, creditsPosted: sum }] });
  }));

// Triggers and constraints guard the tables, so tampering has to remove them first.
const UNGUARDED = `
  ALTER TABLE transfers DISABLE TRIGGER ALL; ALTER TABLE accounts DISABLE TRIGGER ALL;
  ALTER TABLE accounts DROP CONSTRAINT available_not_below_least;`;

test.each([
  [
    'money made out of nothing',
    "UPDATE accounts SET credits_posted = credits_posted + 5 WHERE id = 'ALICE'",
    ['ledger_unbalanced', 'sums_differ'],
  ],
  [
    'sums that no transfer explains',
    "UPDATE accounts SET credits_posted = credits_posted + 5, debits_posted = debits_posted + 5 WHERE id = 'ALICE'",
    ['sums_differ'],
  ],
  [
    'money moved without a transfer',
    'UPDATE accounts SET credits_posted = credits_posted + 5, debits_posted = debits_posted + 5',
    ['sums_differ', 'sums_differ'],
  ],
  [
    'a changed amount',
    'UPDATE transfers SET amount = 31 WHERE amount = 30',
    ['balance_differs', 'balance_differs', 'sums_differ', 'sums_differ'],
  ],
  [
    'a deleted transfer',
    'DELETE FROM transfers WHERE amount = 30',
    [
      'balance_differs',
      'balance_differs',
      'key_dangling',
      'sums_differ',
      'sums_differ',
      'version_gap',
      'version_gap',
    ],
  ],
  [
    'a version that counts too much',
    "UPDATE accounts SET version = version + 1 WHERE id = 'ALICE'",
    ['version_gap'],
  ],
  [
    'a version that is used twice',
    "UPDATE transfers SET debit_version = 1 WHERE debit_account_id = 'ALICE'",
    ['balance_differs', 'version_gap'],
  ],
  [
    'versions that do not start at 1',
    "UPDATE accounts SET version = version + 1 WHERE id = 'ALICE'; UPDATE transfers SET credit_version = credit_version + 9 WHERE credit_account_id = 'ALICE'",
    ['balance_differs', 'sums_differ', 'version_gap'],
  ],
  [
    'a balance below zero',
    "UPDATE accounts SET allow_negative = false WHERE id = 'BANK'",
    ['balance_negative'],
  ],
  [
    'a running balance that is not the sum of the entries',
    'UPDATE transfers SET credit_balance = credit_balance + 1 WHERE amount = 30',
    ['balance_differs'],
  ],
  [
    'money that is pending without a hold',
    "UPDATE accounts SET debits_pending = 5 WHERE id = 'BANK'",
    ['pending_differs'],
  ],
  [
    'a hold that has posted what no transfer explains',
    `INSERT INTO holds (id, debit_account_id, credit_account_id, ledger, amount, metadata, reserves_credit, created_at,
                        expires_at, posted, state, settled_at, revision)
     VALUES (gen_random_uuid(), 'BANK', 'ALICE', 'EUR', 5, '{}', true, now(), now() + interval '1 day', 5, 'posted', now(), 2)`,
    ['hold_differs'],
  ],
  [
    'a reversal that the transfer does not know of',
    'UPDATE transfers SET reverses_id = (SELECT id FROM transfers WHERE amount <> 30 LIMIT 1) WHERE amount = 30',
    ['reversed_differs'],
  ],
  ['a deleted account', "DELETE FROM accounts WHERE id = 'ALICE'", ['account_missing', 'ledger_unbalanced']],
  [
    'an event that was never written',
    'DELETE FROM outbox WHERE transfer_id = (SELECT id FROM transfers WHERE amount = 30)',
    ['outbox_missing'],
  ],
])('verification finds %s', (_what, tampering, kinds) =>
  withLedger(async (atlas, bank, alice) => {
    const script = tampering.replaceAll('ALICE', alice.id).replaceAll('BANK', bank.id);
    await atlas.sql.unsafe(UNGUARDED + script).simple();
    const { ok, discrepancies } = await verify(atlas);
    expect(discrepancies.map(({ kind }) => kind).sort()).toEqual(kinds);
    expect(ok).toBe(false);
    for (const { expected, found } of discrepancies) expect(found).not.toBe(expected);
  }),
);

test('a discrepancy has its location, the expected value, and the found value', () =>
  withLedger(async (atlas, _bank, alice) => {
    await atlas.sql`UPDATE accounts SET debits_posted = 31, credits_posted = 106 WHERE id = ${alice.id}`;
    const { discrepancies } = await verify(atlas);
    expect(discrepancies).toEqual([
      {
        kind: 'sums_differ',
        at: alice.id,
        expected: 'debits 30, credits 105',
        found: 'debits 31, credits 106',
      },
    ]);
  }));

test('of many discrepancies the first hundred are returned', () =>
  withLedger(async (atlas) => {
    await atlas.sql`
      INSERT INTO accounts (id, owner, ledger, allow_negative, metadata, version)
      SELECT gen_random_uuid(), 'owner', 'EUR', true, '{}', 7 FROM generate_series(1, 150)`;
    const { ok, discrepancies } = await verify(atlas);
    expect({ ok, count: discrepancies.length }).toEqual({ ok: false, count: 100 });
  }));

test('a ledger of every possible currency is verified, and the result is below 1 MiB', async () => {
  const atlas = await startTestApp();
  // Three letters allow 17,576 of them.
  await atlas.sql`
    INSERT INTO accounts (id, owner, ledger, allow_negative, metadata, debits_posted, credits_posted, version)
    SELECT gen_random_uuid(), 'owner', chr(65 + a) || chr(65 + b) || chr(65 + c), true, '{}', 0,
           CASE WHEN a = 25 AND b = 25 AND c = 25 THEN 9007199254740991 ELSE 0 END, 0
      FROM generate_series(0, 25) a, generate_series(0, 25) b, generate_series(0, 25) c`;
  const response = await atlas.call('GET', '/v1/operator/ledger/verification');
  const body = await response.text();
  expect(body.length).toBeLessThan(1_048_576);
  const { accounts, ledgers, discrepancies } = JSON.parse(body) as Verification;
  expect(accounts).toBe(26 ** 3);
  expect(ledgers).toHaveLength(8000);
  expect(ledgers[0]).toMatchObject({ ledger: 'AAA' });
  // The last ledger is not listed, but it is verified.
  expect(discrepancies.map(({ at }) => at)).toContain('ZZZ');
  await atlas.close();
});
