import { afterAll, beforeAll, expect, test } from 'bun:test';
import {
  type AccountResource,
  newKey,
  openAccount,
  openFundedAccount,
  postBatch,
  postTransfer,
  readAccount,
  type TransferResource,
} from '../../support/ledger-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { expectProblem } from '../problem-assertions.ts';

let atlas: TestApp;
let bank: AccountResource;
beforeAll(async () => {
  atlas = await startTestApp();
  bank = await openAccount(atlas);
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

interface Item {
  readonly status: string;
  readonly id: string;
  readonly code?: string;
  readonly detail?: string;
  readonly transfer?: TransferResource;
}
const resultsOf = async (response: Response): Promise<Item[]> => {
  expect(response.status).toBe(200);
  return ((await response.json()) as { results: Item[] }).results;
};
const pay = (to: AccountResource, amount: number, id?: string) => ({
  debitAccountId: bank.id,
  creditAccountId: to.id,
  amount,
  ...(id !== undefined && { id }),
});

test('every item has its own result, in the order of the request', async () => {
  const account = await openFundedAccount(atlas, bank, 10);
  const dollars = await openAccount(atlas, { ledger: 'USD' });
  const existing = pay(account, 3, crypto.randomUUID());
  expect((await postTransfer(atlas, existing)).status).toBe(201);
  const results = await resultsOf(
    await postBatch(atlas, {
      transfers: [
        pay(account, 5),
        { debitAccountId: account.id, creditAccountId: bank.id, amount: 1000 },
        existing,
        { ...existing, amount: 4 },
        pay(bank, 1),
        pay(dollars, 1),
        { ...pay(account, 1), debitAccountId: crypto.randomUUID() },
        { debitAccountId: account.id, creditAccountId: bank.id, amount: 18 },
      ],
    }),
  );
  expect(results.map(({ status, code }) => code ?? status)).toEqual([
    'posted',
    'insufficient_funds',
    'exists',
    'transfer_id_taken',
    'same_account',
    'different_ledgers',
    'unknown_account',
    'posted',
  ]);
  for (const { status, transfer, detail, id } of results) {
    expect(transfer === undefined).toBe(status === 'refused');
    expect(detail === undefined).toBe(status !== 'refused');
    if (transfer) expect(transfer.id).toBe(id);
  }
  expect(results[2]).toMatchObject({ id: existing.id, transfer: { amount: 3 } });
  expect(await readAccount(atlas, account.id)).toMatchObject({ balance: 0, version: 4 });
});

test('an item can spend what an earlier item credited, but not a later one', async () => {
  const [a, b] = [await openAccount(atlas, { allowNegative: false }), await openAccount(atlas)];
  const spend = { debitAccountId: a.id, creditAccountId: b.id, amount: 5 };
  const results = await resultsOf(await postBatch(atlas, { transfers: [spend, pay(a, 5), spend] }));
  expect(results.map(({ status }) => status)).toEqual(['refused', 'posted', 'posted']);
  const [first] = await atlas.sql`
    SELECT array_agg(amount ORDER BY credit_version) AS paid FROM transfers WHERE credit_account_id = ${a.id}`;
  expect(first!.paid).toEqual([5]);
});

test('an ID that occurs twice in a batch is posted once', async () => {
  const account = await openAccount(atlas);
  const item = pay(account, 2, crypto.randomUUID());
  const transfers = [item, item, { ...item, amount: 3 }];
  const results = await resultsOf(await postBatch(atlas, { transfers }));
  expect(results.map(({ status, code }) => code ?? status)).toEqual([
    'posted',
    'exists',
    'transfer_id_taken',
  ]);
  expect(results[1]!.transfer).toEqual(results[0]!.transfer!);
  expect(await readAccount(atlas, account.id)).toMatchObject({ balance: 2, version: 1 });
});

test('1,000 transfers fit in one batch, in one transaction and in order', async () => {
  const account = await openAccount(atlas);
  const transfers = Array.from({ length: 1000 }, (_, i) => pay(account, i + 1));
  const results = await resultsOf(await postBatch(atlas, { transfers }));
  expect(results.map(({ transfer }) => transfer?.amount)).toEqual(transfers.map(({ amount }) => amount));
  expect(new Set(results.map(({ id }) => id)).size).toBe(1000);
  expect(await readAccount(atlas, account.id)).toMatchObject({ balance: 500_500, version: 1000 });
});

test('1,001 transfers are rejected, and so are none', async () => {
  const account = await openAccount(atlas);
  const transfers = Array.from({ length: 1001 }, () => pay(account, 1));
  await expectProblem(atlas, await postBatch(atlas, { transfers }), 400, 'invalid_request', ['/transfers']);
  await expectProblem(atlas, await postBatch(atlas, { transfers: [] }), 400, 'invalid_request', [
    '/transfers',
  ]);
  expect(await readAccount(atlas, account.id)).toMatchObject({ balance: 0, version: 0 });
});

test('one invalid item rejects the batch before anything is posted', async () => {
  const account = await openAccount(atlas);
  const transfers = [pay(account, 1), pay(account, -1)];
  const response = await postBatch(atlas, { transfers });
  await expectProblem(atlas, response, 400, 'invalid_request', ['/transfers/1/amount']);
  expect(await readAccount(atlas, account.id)).toMatchObject({ version: 0 });
});

test('an atomic batch posts everything', async () => {
  const account = await openAccount(atlas);
  const response = await postBatch(atlas, { atomic: true, transfers: [pay(account, 1), pay(account, 2)] });
  expect((await resultsOf(response)).map(({ status }) => status)).toEqual(['posted', 'posted']);
  expect(await readAccount(atlas, account.id)).toMatchObject({ balance: 3, version: 2 });
});

test('an atomic batch with one refusal posts nothing, and names each refusal', async () => {
  const account = await openFundedAccount(atlas, bank, 10);
  const before = [await readAccount(atlas, bank.id), await readAccount(atlas, account.id)];
  const poor = await openAccount(atlas, { allowNegative: false });
  const id = crypto.randomUUID();
  const transfers = [
    pay(account, 1, id),
    { debitAccountId: poor.id, creditAccountId: bank.id, amount: 5 },
    pay(account, 2),
    pay(bank, 1),
  ];
  const key = newKey();
  const response = await postBatch(atlas, { atomic: true, transfers }, key);
  const { errors } = await expectProblem(atlas, response, 422, 'batch_refused', [
    '/transfers/1',
    '/transfers/3',
  ]);
  expect(errors!.map(({ code }) => code)).toEqual(['insufficient_funds', 'same_account']);
  expect([await readAccount(atlas, bank.id), await readAccount(atlas, account.id)]).toEqual(before);
  await expectProblem(atlas, await atlas.call('GET', `/v1/transfers/${id}`), 404, 'transfer_not_found');
  const again = await postBatch(atlas, { atomic: true, transfers }, key);
  expect(again.headers.get('idempotency-replayed')).toBe('true');
  await expectProblem(atlas, again, 422, 'batch_refused', ['/transfers/1', '/transfers/3']);
});

test('what an atomic batch rolled back can be posted by another request', async () => {
  const account = await openAccount(atlas, { allowNegative: false });
  const item = pay(account, 4, crypto.randomUUID());
  const refused = await postBatch(atlas, { atomic: true, transfers: [item, item, pay(bank, 1)] });
  expect(refused.status).toBe(422);
  expect((await postTransfer(atlas, item)).status).toBe(201);
  expect(await readAccount(atlas, account.id)).toMatchObject({ balance: 4, version: 1 });
});

test('the response to a batch is as large as its request, with a few hundred bytes per transfer', async () => {
  // Every character of this metadata has an escape, so that nothing can be longer in the response.
  const metadata = { note: '\\'.repeat(380) };
  const alice = await openAccount(atlas);
  const transfers = Array.from({ length: 1000 }, () => ({
    id: crypto.randomUUID(),
    debitAccountId: bank.id,
    creditAccountId: alice.id,
    amount: 1,
    metadata,
  }));
  const request = JSON.stringify({ transfers });
  expect(request.length).toBeWithin(950_000, 1_048_576);
  const key = newKey();
  for (const replayed of [null, 'true']) {
    const response = await postBatch(atlas, { transfers }, key);
    expect([response.status, response.headers.get('idempotency-replayed')]).toEqual([200, replayed]);
    expect((await response.text()).length).toBeLessThan(request.length + 1000 * 300);
  }
});
