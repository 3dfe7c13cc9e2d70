import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { AMOUNT_MINOR_MAX } from '../../../src/utils/money.ts';
import type { ApiCaller } from '../../support/api-caller.ts';
import {
  type AccountResource,
  openAccount,
  postBatch,
  postTransfer,
  readAccount,
} from '../../support/ledger-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';

const RECEIVED = 123_456_789;
/** What others can still pay: half of an account is its organization's own. */
const ROOM = Math.floor(AMOUNT_MINOR_MAX / 2) - RECEIVED;
const OPEN = { acceptsFrom: ['*'], acceptsUpTo: AMOUNT_MINOR_MAX };
let atlas: TestApp;
let payer: ApiCaller;
let payee: ApiCaller;
/** Accounts of the payer: one may go below zero, the other one is empty. */
let [bank, empty]: AccountResource[] = [];
/** Accounts of the payee that accept everybody: one has received something, the other one nothing. */
let [used, unused]: AccountResource[] = [];

beforeAll(async () => {
  atlas = await startTestApp();
  [payer, payee] = [await atlas.as('payer'), await atlas.as('payee')];
  [bank, empty] = [await openAccount(payer), await openAccount(payer, { allowNegative: false })];
  const source = await openAccount(payee);
  [used, unused] = [await openAccount(payee, OPEN), await openAccount(payee, OPEN)];
  const paid = { debitAccountId: source.id, creditAccountId: used.id, amount: RECEIVED };
  expect((await postTransfer(payee, paid)).status).toBe(201);
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

const order = (from: string, to: string, amount: number) => ({
  debitAccountId: from,
  creditAccountId: to,
  amount,
});
const refused = () => order(bank!.id, bank!.id, 1);

/** The status and the refusals of an atomic batch. */
async function postAtomic(transfers: object[]): Promise<unknown> {
  const response = await postBatch(payer, { transfers, atomic: true });
  const { detail, errors } = (await response.json()) as {
    detail: string;
    errors: { pointer: string; code: string }[];
  };
  return [response.status, detail, errors.map(({ pointer, code }) => `${pointer} ${code}`)];
}

describe('without paying, nobody learns what an account of another organization has received:', () => {
  test('a payer without funds gets the same for any amount', async () => {
    for (const amount of [ROOM, ROOM + 1, AMOUNT_MINOR_MAX]) {
      const alone = await postTransfer(payer, order(empty!.id, used!.id, amount));
      const type = '/problems/insufficient_funds';
      expect([amount, alone.status, await alone.json()]).toEqual([
        amount,
        422,
        expect.objectContaining({ type }),
      ]);
      const batch = await postBatch(payer, { transfers: [order(empty!.id, used!.id, amount)] });
      expect(await batch.json()).toMatchObject({ results: [{ code: 'insufficient_funds' }] });
    }
  });

  test('a payer whose own total would be exceeded gets the same for any amount', async () => {
    const full = await openAccount(payer);
    await atlas.sql`UPDATE accounts SET debits_posted = ${AMOUNT_MINOR_MAX} WHERE id = ${full.id}`;
    for (const amount of [ROOM, ROOM + 1]) {
      const response = await postTransfer(payer, order(full.id, used!.id, amount));
      expect(await response.json()).toMatchObject({ type: '/problems/balance_overflow' });
    }
    await atlas.sql`UPDATE accounts SET debits_posted = 0 WHERE id = ${full.id}`;
  });

  test('in an atomic batch that is refused for another reason, only that reason shows', async () => {
    for (const amount of [ROOM, ROOM + 1])
      expect(await postAtomic([order(bank!.id, used!.id, amount), refused()])).toEqual([
        422,
        '1 of 2 transfers were rejected, so none was posted.',
        ['/transfers/1 same_account'],
      ]);
    // What a transfer would leave in the own account counts, whether or not it fits.
    const funded = await openAccount(payer, { allowNegative: false });
    const source = await openAccount(payer);
    expect((await postTransfer(payer, order(source.id, funded.id, ROOM + RECEIVED))).status).toBe(201);
    for (const amount of [ROOM, ROOM + 1]) {
      const rest = order(funded.id, empty!.id, RECEIVED + 1);
      expect(await postAtomic([order(funded.id, used!.id, amount), rest])).toEqual([
        422,
        '1 of 2 transfers were rejected, so none was posted.',
        ['/transfers/1 insufficient_funds'],
      ]);
    }
  });

  test('an atomic batch that is too much for an account of others does not show for which, and from where on', async () => {
    // Each is paid by an account of its own, whose total is not exceeded.
    const sources = await Promise.all([1, 2, 3].map(() => openAccount(payer)));
    const payments = [
      [used!, used!, used!].map((to, i) => [to, [1, ROOM / 2 + 1, ROOM / 2 + 1][i]!] as const),
      [used!, used!, used!].map((to, i) => [to, [AMOUNT_MINOR_MAX, 1, 1][i]!] as const),
      [unused!, used!, unused!].map((to, i) => [to, [1, ROOM + 1, 2][i]!] as const),
    ];
    for (const batch of payments) {
      const transfers = batch.map(([to, amount], i) => order(sources[i]!.id, to.id, Math.floor(amount)));
      expect(await postAtomic([...transfers, order(bank!.id, empty!.id, 1)])).toEqual([
        422,
        '3 of 4 transfers were rejected, so none was posted.',
        ['/transfers/0 unknown_account', '/transfers/1 unknown_account', '/transfers/2 unknown_account'],
      ]);
    }
    expect(await readAccount(payee, used!.id)).toMatchObject({ creditsPosted: RECEIVED, version: 1 });
    expect(await readAccount(payee, unused!.id)).toMatchObject({ creditsPosted: 0, version: 0 });
    expect(await readAccount(payer, empty!.id)).toMatchObject({ creditsPosted: 0, version: 0 });
  });
});

test('an atomic batch that fits the accounts of others is posted, and one that does not is not', async () => {
  const batch = (amount: number) => [order(bank!.id, used!.id, amount), order(bank!.id, empty!.id, 1)];
  expect((await postBatch(payer, { transfers: batch(ROOM + 1), atomic: true })).status).toBe(422);
  const posted = await postBatch(payer, { transfers: batch(ROOM), atomic: true });
  expect(posted.status).toBe(200);
  expect(await readAccount(payee, used!.id)).toMatchObject({ creditsPosted: ROOM + RECEIVED, version: 2 });
});
