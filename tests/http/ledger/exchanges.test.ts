import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { ApiCaller } from '../../support/api-caller.ts';
import {
  type AccountResource,
  openAccount,
  openFundedAccount,
  readAccount,
  type TransferResource,
} from '../../support/ledger-steps.ts';
import {
  type ExchangeResource,
  openExchangeAccounts,
  postSet,
  refusalsOf,
  sendSet,
} from '../../support/set-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { expectProblem } from '../problem-assertions.ts';

let atlas: TestApp;
let bank: AccountResource;
beforeAll(async () => {
  atlas = await startTestApp();
  bank = await openAccount(atlas);
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

async function arrange(funds = 10_000) {
  const payer = await openFundedAccount(atlas, bank, funds);
  return { type: 'exchange', ...(await openExchangeAccounts(atlas)), debitAccountId: payer.id };
}
async function exchangeOf(movement: object, caller: ApiCaller = atlas): Promise<ExchangeResource> {
  return (await postSet(caller, [movement]))[0]!.exchange!;
}
const read = async <T = ExchangeResource>(path: string, caller: ApiCaller = atlas): Promise<T> => {
  const response = await caller.call('GET', path);
  expect(response.status).toBe(200);
  return (await response.json()) as T;
};

test('an exchange is two transfers at a rate, recorded with its rounding and what that left', async () => {
  const accounts = await arrange();
  const text = { reference: 'travel', metadata: { trip: '7' } };
  const exchange = await exchangeOf({ ...accounts, sourceAmount: 1001, rate: '1.08345', ...text });
  const { type: _, ...flow } = accounts;
  expect(exchange).toMatchObject({
    ...flow,
    ...text,
    sourceLedger: 'EUR',
    targetLedger: 'USD',
    sourceAmount: 1001,
    targetAmount: 1085,
    rate: '1.08345',
    rounding: 'half_even',
    fixedSide: 'source',
    // 1001 × 1.08345 is 1084.53345.
    remainder: '-0.46655',
  });
  const [source, target] = [
    await read<TransferResource>(`/v1/transfers/${exchange.sourceTransferId}`),
    await read<TransferResource>(`/v1/transfers/${exchange.targetTransferId}`),
  ];
  expect(source).toMatchObject({
    debitAccountId: flow.debitAccountId,
    creditAccountId: flow.sourceLiquidityAccountId,
    amount: 1001,
    ledger: 'EUR',
    ...text,
  });
  expect(target).toMatchObject({
    debitAccountId: flow.targetLiquidityAccountId,
    creditAccountId: flow.creditAccountId,
    amount: 1085,
    ledger: 'USD',
    createdAt: exchange.createdAt,
  });
  for (const path of [
    `/v1/exchanges/${exchange.id}`,
    `/v1/transfers/${source.id}/exchange`,
    `/v1/transfers/${target.id}/exchange`,
  ])
    expect(await read(path)).toEqual(exchange);
  for (const id of Object.values(flow))
    expect(await read<object>(`/v1/accounts/${id}/exchanges`)).toEqual({
      exchanges: [exchange],
      nextCursor: null,
    });
});

test('an exchange of a fixed target computes the source, and both amounts must agree', async () => {
  const accounts = await arrange();
  const fixed = await exchangeOf({ ...accounts, targetAmount: 5500, rate: '1000', rounding: 'up' });
  expect(fixed).toMatchObject({ sourceAmount: 6, targetAmount: 5500, fixedSide: 'target', remainder: '500' });
  const both = { ...accounts, sourceAmount: 6, targetAmount: 5500, rate: '1000', rounding: 'up' };
  expect(await exchangeOf(both)).toMatchObject({ sourceAmount: 6, targetAmount: 5500, fixedSide: 'target' });
  for (const [wrong, pointer] of [
    [{ ...both, targetAmount: 5999, rounding: 'down' }, '/movements/0/targetAmount'],
    [{ ...accounts, rate: '2' }, '/movements/0/sourceAmount'],
    [{ ...accounts, sourceAmount: 1, rate: '0.4' }, '/movements/0/targetAmount'],
    [{ ...accounts, targetAmount: 1, rate: '3', rounding: 'down' }, '/movements/0/sourceAmount'],
    [{ ...accounts, sourceAmount: Number.MAX_SAFE_INTEGER, rate: '2' }, '/movements/0/targetAmount'],
    [{ ...accounts, sourceAmount: 1, rate: '0' }, '/movements/0/rate'],
    [{ ...accounts, sourceAmount: 1, rate: '1e3' }, '/movements/0/rate'],
    [{ ...accounts, sourceAmount: 1, rate: '1.0000000000001' }, '/movements/0/rate'],
    [{ ...accounts, sourceAmount: 1, rate: 2 }, '/movements/0/rate'],
    [{ ...accounts, sourceAmount: -1, rate: '2' }, '/movements/0/sourceAmount'],
    [{ ...accounts, sourceAmount: 1.5, rate: '2' }, '/movements/0/sourceAmount'],
    [{ ...accounts, creditAccountId: accounts.debitAccountId, sourceAmount: 1, rate: '2' }, '/movements/0'],
  ] as const) {
    const response = await sendSet(atlas, [wrong]);
    expect([wrong, response.status]).toEqual([wrong, 400]);
    expect((await refusalsOf(response)).map(([at]) => at)).toEqual([pointer]);
  }
});

test('an exchange is refused whole, and says for which of its transfers', async () => {
  const accounts = await arrange(100);
  const attempt = async (changed: object) =>
    refusalsOf(sendSet(atlas, [{ ...accounts, sourceAmount: 10, rate: '2', ...changed }]));
  const none = crypto.randomUUID();
  const pounds = (await openAccount(atlas, { ledger: 'GBP' })).id;
  const euros = (await openAccount(atlas)).id;
  const otherEuros = (await openAccount(atlas)).id;
  const empty = (await openAccount(atlas, { ledger: 'USD', allowNegative: false })).id;
  expect(await attempt({ sourceAmount: 101 })).toEqual([['/movements/0', 'insufficient_funds']]);
  expect(await attempt({ targetLiquidityAccountId: empty })).toEqual([
    ['/movements/0', 'insufficient_funds'],
  ]);
  expect(await attempt({ sourceLiquidityAccountId: none })).toEqual([['/movements/0', 'unknown_account']]);
  expect(await attempt({ sourceLiquidityAccountId: pounds })).toEqual([
    ['/movements/0', 'different_ledgers'],
  ]);
  expect(await attempt({ creditAccountId: pounds })).toEqual([['/movements/0', 'different_ledgers']]);
  const oneLedger = { targetLiquidityAccountId: euros, creditAccountId: otherEuros };
  expect(await attempt(oneLedger)).toEqual([['/movements/0', 'same_ledger']]);
  const [poor] = [{ ...accounts, sourceAmount: 10, rate: '2', targetLiquidityAccountId: empty }];
  const problem = await expectProblem(atlas, await sendSet(atlas, [poor]), 422, 'set_refused');
  expect(JSON.stringify(problem)).toContain('Transfer of the target: ');
  expect((await readAccount(atlas, accounts.debitAccountId)).balance).toBe(100);
  const path = `/v1/accounts/${accounts.debitAccountId}/exchanges`;
  expect(await read<object>(path)).toEqual({ exchanges: [], nextCursor: null });
});

test('an exchange is undone by a set that reverses both of its transfers', async () => {
  const accounts = await arrange();
  const exchange = await exchangeOf({ ...accounts, sourceAmount: 1000, rate: '1.25' });
  const [source, target] = await postSet(atlas, [
    { type: 'reverse', transferId: exchange.targetTransferId },
    { type: 'reverse', transferId: exchange.sourceTransferId },
  ]);
  expect([source!.transfer!.amount, target!.transfer!.amount]).toEqual([1250, 1000]);
  for (const id of [accounts.debitAccountId, accounts.creditAccountId])
    expect((await readAccount(atlas, id)).balance).toBe(id === accounts.debitAccountId ? 10_000 : 0);
  expect(await read(`/v1/exchanges/${exchange.id}`)).toEqual(exchange);
});

test('the exchanges of an account are listed newest first, page by page', async () => {
  const accounts = await arrange();
  const made: ExchangeResource[] = [];
  for (const sourceAmount of [1, 2, 3])
    made.unshift(await exchangeOf({ ...accounts, sourceAmount, rate: '3' }));
  const path = `/v1/accounts/${accounts.sourceLiquidityAccountId}/exchanges?limit=2`;
  const first = await read<{ exchanges: object[]; nextCursor: string }>(path);
  expect(first.exchanges).toEqual(made.slice(0, 2));
  const second = await read<object>(`${path}&cursor=${first.nextCursor}`);
  expect(second).toEqual({ exchanges: made.slice(2), nextCursor: null });
});

test('exchanges that do not exist are 404', async () => {
  const id = crypto.randomUUID();
  for (const path of [`/v1/exchanges/${id}`, `/v1/transfers/${id}/exchange`])
    await expectProblem(atlas, await atlas.call('GET', path), 404, 'exchange_not_found');
  const list = await atlas.call('GET', `/v1/accounts/${id}/exchanges`);
  await expectProblem(atlas, list, 404, 'account_not_found');
});

describe('between organizations', () => {
  const seen = async (response: Response, ...ids: string[]) => {
    const text = (await response.text()).replace(/"requestId":"[^"]+"/, '');
    return ids.reduce((result, id) => result.replaceAll(id, 'ID'), `${response.status} ${text}`);
  };

  test('an exchange can pay another organization, which sees the transfer and not the exchange', async () => {
    const [payer, payee] = [await atlas.as('acme'), await atlas.as('umbrella')];
    const own = await openExchangeAccounts(payer);
    const [{ id: bankId }, shop] = [
      await openAccount(payer),
      await openAccount(payee, { ledger: 'USD', acceptsFrom: ['acme'] }),
    ];
    const fund = {
      type: 'transfer',
      debitAccountId: bankId,
      creditAccountId: own.debitAccountId,
      amount: 50,
    };
    const movement = { type: 'exchange', ...own, creditAccountId: shop.id, sourceAmount: 50, rate: '2' };
    const results = await postSet(payer, [fund, { ...movement, metadata: { secret: 'rate' } }]);
    const exchange = results[1]!.exchange!;
    const { targetTransferId } = exchange;
    expect(await read(`/v1/transfers/${targetTransferId}`, payee)).toMatchObject({
      amount: 100,
      metadata: {},
    });
    const none = crypto.randomUUID();
    for (const [path, id] of [
      [(one: string) => `/v1/exchanges/${one}`, exchange.id],
      [(one: string) => `/v1/transfers/${one}/exchange`, targetTransferId],
    ] as const)
      expect(await seen(await payee.call('GET', path(id)), id)).toBe(
        await seen(await payee.call('GET', path(none)), none),
      );
    expect(await read<object>(`/v1/accounts/${shop.id}/exchanges`, payee)).toEqual({
      exchanges: [],
      nextCursor: null,
    });
  });

  test('accounts of others are no liquidity accounts, in the words for accounts that do not exist', async () => {
    const [payer, other] = [await atlas.as('acme'), await atlas.as('umbrella')];
    const payerAccount = await openAccount(payer);
    const own = { ...(await openExchangeAccounts(payer)), debitAccountId: payerAccount.id };
    const open = { acceptsFrom: ['*'] };
    const [euros, dollars] = [
      await openAccount(other, open),
      await openAccount(other, { ledger: 'USD', ...open }),
    ];
    const none = crypto.randomUUID();
    const attempt = async (changed: object, id: string) =>
      seen(await sendSet(payer, [{ type: 'exchange', ...own, sourceAmount: 1, rate: '2', ...changed }]), id);
    const [source, target] = ['sourceLiquidityAccountId', 'targetLiquidityAccountId'];
    for (const [member, id] of [
      [source, euros.id],
      [source, dollars.id],
      [target, dollars.id],
      [target, euros.id],
      ['debitAccountId', euros.id],
    ] as const) {
      const text = await attempt({ [member]: id }, id);
      expect(text).toContain('unknown_account');
      expect(text).toBe(await attempt({ [member]: none }, none));
    }
    // Nor does the state of a payee show.
    const limited = await openAccount(other, { ledger: 'USD', ...open });
    await atlas.sql`UPDATE accounts SET balance_max = 1 WHERE id = ${limited.id}`;
    expect(await attempt({ creditAccountId: limited.id }, limited.id)).toBe(
      await attempt({ creditAccountId: none }, none),
    );
  });
});

test('what was recorded about an exchange never changes, and cannot be at odds with its rate', async () => {
  const { id } = await exchangeOf({ ...(await arrange()), sourceAmount: 1000, rate: '1.5' });
  const change = (to: string) => atlas.sql.unsafe(`UPDATE exchanges SET ${to} WHERE id = '${id}'`);
  for (const statement of [
    change('source_amount = 1'),
    change("rate = 2, rounding = 'down'"),
    atlas.sql`DELETE FROM exchanges WHERE id = ${id}`,
    atlas.sql`UPDATE account_exchanges SET created_at = now() WHERE exchange_id = ${id}`,
  ])
    await expect(statement.execute()).rejects.toThrow();
  const copy = (amount: number, rate: string, rounding: string) => atlas.sql`
    INSERT INTO exchanges (id, source_transfer_id, target_transfer_id, debit_account_id, source_liquidity_account_id,
        target_liquidity_account_id, credit_account_id, source_ledger, target_ledger, source_amount, target_amount, rate,
        rounding, fixed_side, created_at)
      SELECT overlay(id::text placing '000000' from 1 for 6)::uuid, gen_random_uuid(), gen_random_uuid(), debit_account_id,
        source_liquidity_account_id, target_liquidity_account_id, credit_account_id, source_ledger, target_ledger,
        source_amount, ${amount}, ${rate}::numeric, ${rounding}, fixed_side, created_at FROM exchanges WHERE id = ${id}`;
  await expect(copy(1501, '1.5', 'half_even').execute()).rejects.toThrow('amounts_agree');
  await expect(copy(1501, '1.5005', 'down').execute()).rejects.toThrow('amounts_agree');
  await copy(1500, '1.5005', 'half_even');
});
