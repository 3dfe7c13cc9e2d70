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
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { expectProblem } from '../problem-assertions.ts';

let atlas: TestApp;
let bank: AccountResource;
let alice: AccountResource;
beforeAll(async () => {
  atlas = await startTestApp();
  bank = await openAccount(atlas);
  alice = await openFundedAccount(atlas, bank, 1000);
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

test('a transfer moves money from one account to another', async () => {
  const [from, to] = [await openFundedAccount(atlas, bank, 500), await openAccount(atlas)];
  const order = {
    debitAccountId: from.id,
    creditAccountId: to.id,
    amount: 120,
    reference: 'rent {"a", \\b} NULL é 🏦',
    metadata: { z: 'last', a: 'first', '10': 'ten' },
  };
  const response = await postTransfer(atlas, order);
  expect(response.status).toBe(201);
  expect(response.headers.has('idempotency-replayed')).toBe(false);
  const transfer = (await response.json()) as TransferResource;
  expect(transfer).toMatchObject({ ...order, ledger: 'EUR' });
  expect(await readAccount(atlas, from.id)).toMatchObject({
    balance: 380,
    debitsPosted: 120,
    creditsPosted: 500,
    version: 2,
  });
  expect(await readAccount(atlas, to.id)).toMatchObject({
    balance: 120,
    debitsPosted: 0,
    creditsPosted: 120,
    version: 1,
  });
  const read = await atlas.call('GET', `/v1/transfers/${transfer.id}`);
  expect(await read.json()).toEqual(transfer);
});

test('a transfer without an ID gets one derived from owner and key', async () => {
  const order = { debitAccountId: bank.id, creditAccountId: alice.id, amount: 1 };
  const first = (await (await postTransfer(atlas, order)).json()) as TransferResource;
  const second = (await (await postTransfer(atlas, order)).json()) as TransferResource;
  expect(first.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(second.id).not.toBe(first.id);
});

test('the same ID with the same content returns the existing transfer, and moves nothing twice', async () => {
  const account = await openAccount(atlas);
  const order = {
    id: crypto.randomUUID(),
    debitAccountId: bank.id,
    creditAccountId: account.id,
    amount: 7,
    metadata: { a: '1', b: '2' },
  };
  const first = await postTransfer(atlas, order);
  const again = await postTransfer(atlas, { ...order, metadata: { b: '2', a: '1' } });
  expect([first.status, again.status]).toEqual([201, 200]);
  expect(await again.text()).toBe(await first.text());
  expect(again.headers.has('idempotency-replayed')).toBe(false);
  expect(await readAccount(atlas, account.id)).toMatchObject({ balance: 7, version: 1 });
});

test.each([
  ['amount', { amount: 8 }],
  ['reference', { reference: 'other' }],
  ['metadata', { metadata: { a: '1' } }],
])('an ID that exists with a different %s is rejected', async (_what, change) => {
  const id = crypto.randomUUID();
  const order = { id, debitAccountId: bank.id, creditAccountId: alice.id, amount: 7 };
  expect((await postTransfer(atlas, order)).status).toBe(201);
  const before = await readAccount(atlas, alice.id);
  await expectProblem(atlas, await postTransfer(atlas, { ...order, ...change }), 409, 'transfer_id_taken');
  const turned = { ...order, debitAccountId: alice.id, creditAccountId: bank.id };
  await expectProblem(atlas, await postTransfer(atlas, turned), 409, 'transfer_id_taken');
  expect(await readAccount(atlas, alice.id)).toEqual(before);
});

test.each([
  ['zero', '0'],
  ['negative', '-1'],
  ['a fraction', '1.5'],
  ['a tiny fraction', '1e-7'],
  ['a text', '"100"'],
  ['2^53, which JSON no longer carries exactly', '9007199254740992'],
  ['far over 2^53−1', '1e300'],
  ['infinite', '1e999'],
  ['null', 'null'],
  ['true', 'true'],
  ['a list', '[1]'],
])('an amount that is %s is refused', async (_what, amount) => {
  const before = await readAccount(atlas, alice.id);
  const body = `{"debitAccountId":"${bank.id}","creditAccountId":"${alice.id}","amount":${amount}}`;
  const headers = { 'Content-Type': 'application/json', 'Idempotency-Key': newKey() };
  const response = await atlas.call('POST', '/v1/transfers', { body, headers });
  await expectProblem(atlas, response, 400, 'invalid_request', ['/amount']);
  expect(await readAccount(atlas, alice.id)).toEqual(before);
});

test('each missing member of a transfer has a pointer', async () => {
  const response = await postTransfer(atlas, {});
  await expectProblem(atlas, response, 400, 'invalid_request', [
    '/debitAccountId',
    '/creditAccountId',
    '/amount',
  ]);
});

test('the same account on both sides is rejected', async () => {
  const order = { debitAccountId: alice.id, creditAccountId: alice.id.toUpperCase(), amount: 1 };
  await expectProblem(atlas, await postTransfer(atlas, order), 422, 'same_account');
});

test('accounts on different ledgers are rejected', async () => {
  const dollars = await openAccount(atlas, { ledger: 'USD' });
  const order = { debitAccountId: alice.id, creditAccountId: dollars.id, amount: 1 };
  await expectProblem(atlas, await postTransfer(atlas, order), 422, 'different_ledgers');
  expect(await readAccount(atlas, dollars.id)).toMatchObject({ balance: 0, version: 0 });
});

test('an unknown account is rejected on either side', async () => {
  const unknown = crypto.randomUUID();
  for (const [debitAccountId, creditAccountId] of [
    [unknown, alice.id],
    [alice.id, unknown],
    [unknown, crypto.randomUUID()],
  ]) {
    const response = await postTransfer(atlas, { debitAccountId, creditAccountId, amount: 1 });
    await expectProblem(atlas, response, 422, 'unknown_account');
  }
});

test('an overdraft of one cent is rejected, and the last cent can be spent', async () => {
  const account = await openFundedAccount(atlas, bank, 100);
  const spend = (amount: number) =>
    postTransfer(atlas, { debitAccountId: account.id, creditAccountId: bank.id, amount });
  await expectProblem(atlas, await spend(101), 422, 'insufficient_funds');
  expect(await readAccount(atlas, account.id)).toMatchObject({ balance: 100, version: 1 });
  expect((await spend(100)).status).toBe(201);
  await expectProblem(atlas, await spend(1), 422, 'insufficient_funds');
});

test('a total over 2^53−1 is rejected on either side, and the largest total is exact', async () => {
  const most = Number.MAX_SAFE_INTEGER;
  const [payer, payee] = [await openAccount(atlas), await openAccount(atlas)];
  const order = { debitAccountId: payer.id, creditAccountId: payee.id, amount: most };
  expect((await postTransfer(atlas, order)).status).toBe(201);
  expect(await readAccount(atlas, payee.id)).toMatchObject({ balance: most, creditsPosted: most });
  expect(await readAccount(atlas, payer.id)).toMatchObject({ balance: -most, debitsPosted: most });
  const other = await openAccount(atlas);
  for (const sides of [
    { debitAccountId: payer.id, creditAccountId: other.id },
    { debitAccountId: other.id, creditAccountId: payee.id },
  ]) {
    await expectProblem(atlas, await postTransfer(atlas, { ...sides, amount: 1 }), 422, 'balance_overflow');
  }
  expect(await readAccount(atlas, other.id)).toMatchObject({ debitsPosted: 0, creditsPosted: 0, version: 0 });
});

test('an unknown transfer is a 404, and a malformed ID a 400', async () => {
  const path = `/v1/transfers/${crypto.randomUUID()}`;
  await expectProblem(atlas, await atlas.call('GET', path), 404, 'transfer_not_found');
  await expectProblem(atlas, await atlas.call('GET', '/v1/transfers/1'), 400, 'invalid_request', [
    '/path/id',
  ]);
});
