import { afterAll, beforeAll, expect, test } from 'bun:test';
import {
  type AccountResource,
  newKey,
  openAccount,
  openFundedAccount,
  postTransfer,
  readAccount,
  type TransferResource,
} from '../../support/ledger-steps.ts';
import { postKeyed, refusalOf } from '../../support/movement-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { expectProblem } from '../problem-assertions.ts';

let atlas: TestApp;
let bank: AccountResource;
beforeAll(async () => {
  atlas = await startTestApp();
  bank = await openAccount(atlas);
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

/** A transfer of 60 from a payer who has 40 left to a payee who has nothing else. */
async function arrange() {
  const payer = await openFundedAccount(atlas, bank, 100);
  const payee = await openAccount(atlas, { allowNegative: false });
  const order = { debitAccountId: payer.id, creditAccountId: payee.id, amount: 60 };
  const transfer = (await (await postTransfer(atlas, order)).json()) as TransferResource;
  const reverse = (json: object, key = newKey()) =>
    postKeyed(atlas, `/v1/transfers/${transfer.id}/reverse`, json, key);
  const balances = async () => [
    (await readAccount(atlas, payer.id)).balance,
    (await readAccount(atlas, payee.id)).balance,
  ];
  return { payer: payer.id, payee: payee.id, transfer, reverse, balances };
}

const listOf = async (id: string, query = '') => {
  const response = await atlas.call('GET', `/v1/transfers/${id}/reversals${query}`);
  expect(response.status).toBe(200);
  return (await response.json()) as { transfers: TransferResource[]; nextCursor: string | null };
};

test('a transfer is reversed once in full, and both link to each other', async () => {
  const { payer, payee, transfer, reverse, balances } = await arrange();
  const key = newKey();
  const response = await reverse({ reference: 'refund', metadata: { a: '1' } }, key);
  expect(response.status).toBe(201);
  const reversal = (await response.json()) as TransferResource;
  expect(reversal).toMatchObject({
    debitAccountId: payee,
    creditAccountId: payer,
    amount: 60,
    reversesId: transfer.id,
    holdId: null,
    reference: 'refund',
  });
  expect(await balances()).toEqual([100, 0]);
  expect((await listOf(transfer.id)).transfers).toEqual([reversal]);
  expect(await (await atlas.call('GET', `/v1/transfers/${transfer.id}`)).json()).toEqual(transfer);
  await expectProblem(atlas, await reverse({}), 422, 'already_reversed');
  const again = await reverse({ reference: 'refund', metadata: { a: '1' } }, key);
  expect([again.status, again.headers.get('idempotency-replayed')]).toEqual([201, 'true']);
  expect(await again.json()).toEqual(reversal);
  expect(await balances()).toEqual([100, 0]);
});

test('several reversals add up to the transfer, and never to more', async () => {
  const { transfer, reverse, balances } = await arrange();
  const parts = [];
  for (const amount of [10, 20, 25]) parts.push(await (await reverse({ amount })).json());
  await expectProblem(atlas, await reverse({ amount: 6 }), 422, 'reversal_exceeds_transfer');
  // What is left.
  const last = (await (await reverse({})).json()) as TransferResource;
  expect(last.amount).toBe(5);
  expect(await refusalOf(reverse({ amount: 1 }))).toBe('already_reversed');
  expect(await balances()).toEqual([100, 0]);
  const first = await listOf(transfer.id, '?limit=3');
  expect(first.transfers).toEqual(parts as TransferResource[]);
  const second = await listOf(transfer.id, `?limit=3&cursor=${first.nextCursor}`);
  expect([second.transfers, second.nextCursor]).toEqual([[last], null]);
});

test('reversals at the same time never add up to more than the transfer', async () => {
  const { reverse, balances } = await arrange();
  const responses = await Promise.all(Array.from({ length: 20 }, () => reverse({ amount: 7 })));
  expect(responses.filter(({ status }) => status === 201)).toHaveLength(8);
  expect(await balances()).toEqual([96, 4]);
});

test('a reversal takes no more than what is available, unless it is forced by who may', async () => {
  const { payee, reverse, balances } = await arrange();
  await postTransfer(atlas, { debitAccountId: payee, creditAccountId: bank.id, amount: 50 });
  await expectProblem(atlas, await reverse({}), 422, 'insufficient_funds');
  const token = await atlas.key(['transfers:write', 'transfers:read']);
  const { id } = (await listTransfers(payee)).at(-1)!;
  const refused = await atlas.call('POST', `/v1/transfers/${id}/reverse`, {
    json: { force: true },
    headers: { 'Idempotency-Key': newKey(), Authorization: `Bearer ${token}` },
  });
  await expectProblem(atlas, refused, 403, 'forbidden');
  expect((await reverse({ force: true })).status).toBe(201);
  expect(await balances()).toEqual([100, -50]);
  // From now on it can only be credited, until it is even.
  const spend = { debitAccountId: payee, creditAccountId: bank.id, amount: 1 };
  expect(await refusalOf(postTransfer(atlas, spend))).toBe('insufficient_funds');
  const credit = { debitAccountId: bank.id, creditAccountId: payee };
  expect((await postTransfer(atlas, { ...credit, amount: 49 })).status).toBe(201);
  expect(await refusalOf(postTransfer(atlas, spend))).toBe('insufficient_funds');
  expect((await postTransfer(atlas, { ...credit, amount: 2 })).status).toBe(201);
  const [row] = await atlas.sql`SELECT overdrawn_by_force FROM accounts WHERE id = ${payee}`;
  expect(row!.overdrawnByForce).toBe(false);
  expect((await postTransfer(atlas, spend)).status).toBe(201);
});

test('reversals of transfers that do not exist are 404', async () => {
  const path = `/v1/transfers/${crypto.randomUUID()}`;
  await expectProblem(atlas, await postKeyed(atlas, `${path}/reverse`, {}), 404, 'transfer_not_found');
  await expectProblem(atlas, await atlas.call('GET', `${path}/reversals`), 404, 'transfer_not_found');
  const { transfer } = await arrange();
  expect(await listOf(transfer.id)).toEqual({ transfers: [], nextCursor: null });
});

async function listTransfers(account: string): Promise<TransferResource[]> {
  const response = await atlas.call('GET', `/v1/accounts/${account}/transfers`);
  return ((await response.json()) as { transfers: TransferResource[] }).transfers;
}
