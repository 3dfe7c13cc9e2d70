import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { AMOUNT_MINOR_MAX } from '../../../src/utils/money.ts';
import type { ApiCaller } from '../../support/api-caller.ts';
import {
  type AccountResource,
  newKey,
  openAccount,
  postBatch,
  postTransfer,
  readAccount,
} from '../../support/ledger-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { expectProblem } from '../problem-assertions.ts';

const DEFAULT = 10_000_000_000;
let atlas: TestApp;
let payer: ApiCaller;
let payee: ApiCaller;
/** Accounts of the payer: one may go below zero, the other one is empty. */
let [bank, empty]: AccountResource[] = [];
/** An account of the payee. */
let source: AccountResource;

beforeAll(async () => {
  atlas = await startTestApp();
  [payer, payee] = [await atlas.as('payer'), await atlas.as('payee')];
  [bank, empty] = [await openAccount(payer), await openAccount(payer, { allowNegative: false })];
  source = await openAccount(payee);
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

const order = (to: string, amount: number, from = bank!.id) => ({
  debitAccountId: from,
  creditAccountId: to,
  amount,
});
const change = (id: string, json: object, ifMatch = '*') =>
  payee.call('PATCH', `/v1/accounts/${id}`, { json, headers: { 'If-Match': ifMatch } });

/** What a caller sees of a refusal but what names the request. */
async function seen(response: Response): Promise<string> {
  const { requestId: _, instance: __, ...problem } = (await response.json()) as Record<string, unknown>;
  return JSON.stringify([response.status, problem]);
}

describe('an account that accepts others up to an amount', () => {
  test('is paid up to it in each transfer, and not more: alone, in batches, and in atomic ones', async () => {
    const { id } = await openAccount(payee, { acceptsFrom: ['payer'], acceptsUpTo: 100 });
    expect((await postTransfer(payer, order(id, 100))).status).toBe(201);
    await expectProblem(atlas, await postTransfer(payer, order(id, 101)), 422, 'unknown_account');
    const batch = { transfers: [order(id, 101), order(id, 100), order(id, AMOUNT_MINOR_MAX)] };
    const { results } = (await (await postBatch(payer, batch)).json()) as { results: object[] };
    expect(results).toMatchObject([
      { status: 'refused', code: 'unknown_account' },
      { status: 'posted' },
      { status: 'refused', code: 'unknown_account' },
    ]);
    const refused = await postBatch(payer, { ...batch, atomic: true });
    const { errors } = (await refused.json()) as { errors: object[] };
    expect(errors).toMatchObject([
      { pointer: '/transfers/0', code: 'unknown_account' },
      { pointer: '/transfers/2', code: 'unknown_account' },
    ]);
    expect(await readAccount(payee, id)).toMatchObject({ creditsPosted: 200, version: 2 });
  });

  test('refuses more exactly as one that does not accept the payer, whatever else is wrong', async () => {
    const [limited, closed] = [
      await openAccount(payee, { acceptsFrom: ['*'], acceptsUpTo: 100 }),
      await openAccount(payee),
    ];
    for (const from of [bank!.id, empty!.id]) {
      const [much, none] = [order(limited.id, 101, from), order(closed.id, 101, from)];
      expect(await seen(await postTransfer(payer, much))).toBe(await seen(await postTransfer(payer, none)));
      const bad = order(bank!.id, 1);
      const batch = (one: object) => postBatch(payer, { transfers: [one, bad], atomic: true });
      expect(await seen(await batch(much))).toBe(await seen(await batch(none)));
    }
  });

  test('is paid any amount by its own organization', async () => {
    const { id } = await openAccount(payee, { acceptsFrom: ['*'], acceptsUpTo: 1 });
    expect((await postTransfer(payee, order(id, AMOUNT_MINOR_MAX, source.id))).status).toBe(201);
  });

  test('has a default in new accounts, and in those that an earlier release opened or opens', async () => {
    const opened = [
      await openAccount(payee, { acceptsFrom: ['*'] }),
      await openAccount(payee, { acceptsFrom: ['*'], acceptsUpTo: null }),
    ];
    const id = crypto.randomUUID();
    await atlas.sql`
      INSERT INTO accounts (id, owner, ledger, allow_negative, metadata, accepts_from)
      VALUES (${id}, 'payee', 'EUR', true, '{}', '["*"]')`;
    for (const account of [...opened, await readAccount(payee, id)]) {
      expect(account).toMatchObject({ acceptsUpTo: DEFAULT });
      expect((await postTransfer(payer, order(account.id, DEFAULT + 1))).status).toBe(422);
      expect((await postTransfer(payer, order(account.id, DEFAULT))).status).toBe(201);
    }
  });

  test('still returns to a retry what was posted, after it accepts less', async () => {
    const [{ id }, keys] = [await openAccount(payee, { acceptsFrom: ['*'] }), [newKey(), newKey()]];
    const batch = { transfers: [order(id, 500)], atomic: true };
    const both = async () => [
      await (await postTransfer(payer, order(id, 500), keys[0])).json(),
      await (await postBatch(payer, batch, keys[1])).json(),
    ];
    const first = await both();
    expect((await change(id, { acceptsUpTo: 499 })).status).toBe(200);
    expect(await both()).toEqual(first);
    // By its ID, too.
    const own = { ...order(id, 400), id: crypto.randomUUID() };
    expect((await postTransfer(payer, own)).status).toBe(201);
    expect((await change(id, { acceptsUpTo: 399 })).status).toBe(200);
    expect((await postTransfer(payer, own)).status).toBe(200);
  });

  test('is changed apart from whom it accepts, with an ETag and an audit entry of its own', async () => {
    const { id } = await openAccount(payee, { acceptsFrom: ['payer'], acceptsUpTo: 100 });
    const changed = await change(id, { acceptsUpTo: 200 }, '"1"');
    expect([changed.status, changed.headers.get('etag')]).toEqual([200, '"2"']);
    expect(await changed.json()).toMatchObject({ acceptsFrom: ['payer'], acceptsUpTo: 200 });
    expect((await change(id, { acceptsUpTo: 300 }, '"1"')).status).toBe(412);
    const others = await change(id, { acceptsFrom: null });
    expect(await others.json()).toMatchObject({ acceptsFrom: null, acceptsUpTo: 200 });
    const reset = await change(id, { acceptsFrom: ['*'], acceptsUpTo: null });
    expect(await reset.json()).toMatchObject({ acceptsFrom: ['*'], acceptsUpTo: DEFAULT });
    const entries = await atlas.sql`
      SELECT before, after FROM audit_entries WHERE target_id = ${id} AND action LIKE 'account.%' ORDER BY id`;
    expect(entries.map(({ before, after }) => [before?.acceptsUpTo, after.acceptsUpTo])).toEqual([
      [undefined, 100],
      [100, 200],
      // Only what was changed.
      [undefined, undefined],
      [200, DEFAULT],
    ]);
  });

  test.each([0, -1, 1.5, AMOUNT_MINOR_MAX + 1, '100', true])(
    'refuses %p as the amount',
    async (acceptsUpTo) => {
      const json = { ledger: 'EUR', acceptsUpTo };
      await expectProblem(atlas, await payee.call('POST', '/v1/accounts', { json }), 400, 'invalid_request', [
        '/acceptsUpTo',
      ]);
      expect((await change(source.id, { acceptsUpTo })).status).toBe(400);
    },
  );
});

test('what others pay leaves half of an account to its own organization, also after somebody filled it', async () => {
  const half = Math.floor(AMOUNT_MINOR_MAX / 2);
  const { id } = await openAccount(payee, { acceptsFrom: ['*'], acceptsUpTo: AMOUNT_MINOR_MAX });
  const own = await openAccount(payee);
  expect((await postTransfer(payer, order(id, half + 1))).status).toBe(422);
  expect((await postTransfer(payer, order(id, half))).status).toBe(201);
  expect((await postTransfer(payer, order(id, 1))).status).toBe(422);
  expect((await postTransfer(payee, order(id, half + 1, own.id))).status).toBe(201);
  expect((await postTransfer(payee, order(id, 1, own.id))).status).toBe(422);
  // All of it can be paid out.
  expect((await postTransfer(payee, order(own.id, AMOUNT_MINOR_MAX, id))).status).toBe(201);
  expect(await readAccount(payee, id)).toMatchObject({ balance: 0 });
});
