import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { AMOUNT_MINOR_MAX } from '../../../src/utils/money.ts';
import type { ApiCaller } from '../../support/api-caller.ts';
import {
  type AccountResource,
  newKey,
  openAccount,
  openFundedAccount,
  postTransfer,
  readAccount,
  type TransferResource,
} from '../../support/ledger-steps.ts';
import { type HoldResource, holdMoney, postHold, postKeyed, readHold } from '../../support/movement-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { expectProblem } from '../problem-assertions.ts';

const METADATA = { secret: 'of the payer' };
let atlas: TestApp;
let [payer, payee, stranger]: ApiCaller[] = [];
let [bank, shop]: AccountResource[] = [];
beforeAll(async () => {
  atlas = await startTestApp();
  [payer, payee, stranger] = [await atlas.as('acme'), await atlas.as('umbrella'), await atlas.as('initech')];
  bank = await openAccount(payer);
  shop = await openAccount(payee, { allowNegative: false, acceptsFrom: ['acme'] });
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

const toShop = (amount = 50) => ({
  debitAccountId: bank!.id,
  creditAccountId: shop!.id,
  amount,
  metadata: METADATA,
});
/** Everything that a caller sees of a refusal but what names the request. */
async function seen(response: Response, id: string): Promise<string> {
  const text = await response.text();
  return `${response.status} ${text.replaceAll(id, 'ID').replace(/"requestId":"[^"]+"/, '')}`;
}
async function pay(amount: number): Promise<TransferResource> {
  return (await (await postTransfer(payer!, toShop(amount))).json()) as TransferResource;
}

describe('a hold for another organization', () => {
  test('is seen by both, by the payee without its metadata, and by nobody else', async () => {
    const hold = await holdMoney(payer!, toShop());
    expect(await readHold(payer!, hold.id)).toEqual(hold);
    expect(await readHold(payee!, hold.id)).toEqual({ ...hold, metadata: {} });
    const page = await payee!.call('GET', `/v1/accounts/${shop!.id}/holds?limit=1`);
    expect(((await page.json()) as { holds: HoldResource[] }).holds).toEqual([{ ...hold, metadata: {} }]);
    const path = `/v1/holds/${hold.id}`;
    await expectProblem(atlas, await stranger!.call('GET', path), 404, 'hold_not_found');
    const theirs = await payer!.call('GET', `/v1/accounts/${shop!.id}/holds`);
    await expectProblem(atlas, theirs, 404, 'account_not_found');
    await postHold(payer!, hold.id);
  });

  test('is posted and voided by the payer only', async () => {
    const hold = await holdMoney(payer!, toShop());
    for (const [verb, json] of [
      ['post', {}],
      ['void', undefined],
    ] as const) {
      const path = `/v1/holds/${hold.id}/${verb}`;
      await expectProblem(atlas, await postKeyed(payee!, path, json), 422, 'unknown_account');
      const none = crypto.randomUUID();
      expect(await seen(await postKeyed(stranger!, path, json), hold.id)).toBe(
        await seen(await postKeyed(stranger!, `/v1/holds/${none}/${verb}`, json), none),
      );
    }
    expect(await readHold(payer!, hold.id)).toMatchObject({ state: 'pending' });
    await postHold(payer!, hold.id);
    // What the payee accepts later does not matter for what it has accepted.
    const other = await holdMoney(payer!, toShop());
    await atlas.sql`UPDATE accounts SET accepts_from = NULL WHERE id = ${shop!.id}`;
    await postHold(payer!, other.id);
    await atlas.sql`UPDATE accounts SET accepts_from = '["acme"]' WHERE id = ${shop!.id}`;
  });

  test('is refused in the same words, whatever the state of the account of the payee is', async () => {
    const none = crypto.randomUUID();
    const attempt = async (id: string, path = '/v1/holds') =>
      seen(await postKeyed(payer!, path, { ...toShop(), creditAccountId: id }), id);
    const missing = await attempt(none);
    const states = [
      { credits_frozen: true },
      { closed_at: new Date() },
      { accepts_from: null },
      { accepts_up_to: 49 },
    ];
    for (const state of states) {
      const account = await openAccount(payee!, { acceptsFrom: ['*'] });
      await atlas.sql`UPDATE accounts SET ${atlas.sql(state)} WHERE id = ${account.id}`;
      expect([state, await attempt(account.id)]).toEqual([state, missing]);
      expect([state, await attempt(account.id, '/v1/transfers')]).toEqual([state, missing]);
    }
  });

  test('whose payee was frozen since is not posted, and can be voided', async () => {
    const account = await openAccount(payee!, { acceptsFrom: ['*'] });
    const hold = await holdMoney(payer!, { ...toShop(), creditAccountId: account.id });
    await atlas.sql`UPDATE accounts SET credits_frozen = true WHERE id = ${account.id}`;
    const path = `/v1/holds/${hold.id}`;
    await expectProblem(atlas, await postKeyed(payer!, `${path}/post`, {}), 422, 'unknown_account');
    expect((await postKeyed(payer!, `${path}/void`)).status).toBe(200);
  });
});

/** What others can pay an account: half of it is its organization's own. */
const ROOM = Math.floor(AMOUNT_MINOR_MAX / 2);

test('a hold takes no room of an account of others, and does not show how much it has', async () => {
  const open = { acceptsFrom: ['*'], acceptsUpTo: AMOUNT_MINOR_MAX, allowNegative: false };
  const [till, source] = [await openAccount(payee!, open), await openAccount(payee!)];
  await postTransfer(payee!, { debitAccountId: source.id, creditAccountId: till.id, amount: 7 });
  const hold = async (amount: number, to = till.id) =>
    holdMoney(payer!, { debitAccountId: (await openAccount(payer!)).id, creditAccountId: to, amount });
  // It could be voided, so it would show that for nothing.
  const [fits, doesNot] = [await hold(ROOM - 7), await hold(ROOM - 6)];
  const limited = await openAccount(payee!, open);
  await atlas.sql`UPDATE accounts SET balance_max = 10 WHERE id = ${limited.id}`;
  const above = await hold(11, limited.id);
  expect(await readAccount(payee!, till.id)).toMatchObject({ creditsPending: 0, balance: 7 });

  const strangers = await openAccount(stranger!);
  const paid = await postTransfer(stranger!, {
    debitAccountId: strangers.id,
    creditAccountId: till.id,
    amount: 1,
  });
  expect(paid.status).toBe(201);
  // Who posts it pays, and is refused like a transfer.
  for (const { id } of [fits, doesNot, above]) {
    const late = await postKeyed(payer!, `/v1/holds/${id}/post`, {});
    await expectProblem(atlas, late, 422, 'unknown_account');
  }
  await postHold(payer!, fits.id, { amount: ROOM - 8 });
  await postHold(payer!, above.id, { amount: 10 });
  expect((await postKeyed(payer!, `/v1/holds/${doesNot.id}/void`)).status).toBe(200);
  expect(await readAccount(payee!, till.id)).toMatchObject({ creditsPending: 0, balance: ROOM });
  expect(await readAccount(payer!, doesNot.debitAccountId)).toMatchObject({ debitsPending: 0 });
});

test('what a hold has reserved in an account stays, and is released, if the account goes to another organization', async () => {
  const { id: to } = await openAccount(payer!, { allowNegative: false, acceptsFrom: ['umbrella'] });
  const [own, others] = [
    await holdMoney(payer!, { ...toShop(5), creditAccountId: to }),
    await holdMoney(payee!, {
      debitAccountId: (await openAccount(payee!)).id,
      creditAccountId: to,
      amount: 9,
    }),
  ];
  const pending = async () => (await readAccount(payee!, to)) as unknown as { creditsPending: number };
  await atlas.sql`UPDATE accounts SET owner = 'umbrella' WHERE id = ${to}`;
  expect(await pending()).toMatchObject({ creditsPending: 5 });
  await postHold(payee!, others.id);
  expect(await pending()).toMatchObject({ creditsPending: 5, creditsPosted: 9 });
  await postHold(payer!, own.id, { amount: 2 });
  expect(await pending()).toMatchObject({ creditsPending: 0, creditsPosted: 11 });
});

describe('a transfer to another organization', () => {
  test('is reversed by the payee only, and both see the reversal', async () => {
    const transfer = await pay(50);
    const path = `/v1/transfers/${transfer.id}/reverse`;
    await expectProblem(atlas, await postKeyed(payer!, path, {}), 422, 'unknown_account');
    const none = crypto.randomUUID();
    expect(await seen(await postKeyed(stranger!, path, {}), transfer.id)).toBe(
      await seen(await postKeyed(stranger!, `/v1/transfers/${none}/reverse`, {}), none),
    );
    // The payer accepts nobody, and gets its own money back all the same.
    const response = await postKeyed(payee!, path, { metadata: { secret: 'of the payee' } });
    expect(response.status).toBe(201);
    const reversal = (await response.json()) as TransferResource;
    const listed = async (caller: ApiCaller) => {
      const page = await caller.call('GET', `/v1/transfers/${transfer.id}/reversals`);
      return page.status === 200 ? ((await page.json()) as { transfers: object[] }).transfers : page.status;
    };
    expect(await listed(payee!)).toEqual([reversal]);
    expect(await listed(payer!)).toEqual([{ ...reversal, metadata: {} }]);
    expect(await listed(stranger!)).toBe(404);
  });

  test('is refused to be reversed in the same words, whatever the state of the account of the payer is', async () => {
    const states = [{ credits_frozen: true }, { balance_max: 0 }];
    const texts: string[] = [];
    for (const state of states) {
      const account = await openFundedAccount(payer!, bank!, 50);
      const order = { ...toShop(), debitAccountId: account.id };
      const { id } = (await (await postTransfer(payer!, order)).json()) as TransferResource;
      await atlas.sql`UPDATE accounts SET ${atlas.sql(state)} WHERE id = ${account.id}`;
      texts.push(await seen(await postKeyed(payee!, `/v1/transfers/${id}/reverse`, {}, newKey()), id));
    }
    expect(new Set(texts).size).toBe(1);
    expect(texts[0]).toContain('unknown_account');
  });

  test('leaves nothing of the payee in what the payer sees of its account', async () => {
    await holdMoney(payer!, toShop());
    const own = await readAccount(payer!, bank!.id);
    expect(JSON.stringify(own)).not.toContain(shop!.id);
  });
});
