import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import {
  type AccountResource,
  newKey,
  openAccount,
  openFundedAccount,
  readAccount,
} from '../../support/ledger-steps.ts';
import { holdMoney, postKeyed, readHold, refusalOf } from '../../support/movement-steps.ts';
import { openExchangeAccounts, postSet, refusalsOf, sendSet } from '../../support/set-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { expectProblem } from '../problem-assertions.ts';

let atlas: TestApp;
let bank: AccountResource;
beforeAll(async () => {
  atlas = await startTestApp();
  bank = await openAccount(atlas);
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

async function arrange(funds = 100) {
  const payer = (await openFundedAccount(atlas, bank, funds)).id;
  const payee = (await openAccount(atlas, { allowNegative: false })).id;
  const flow = { debitAccountId: payer, creditAccountId: payee };
  const balances = async () => [
    (await readAccount(atlas, payer)).balance,
    (await readAccount(atlas, payee)).balance,
  ];
  return { payer, payee, flow, balances };
}

test('a set posts movements of all types in order, each with its result', async () => {
  const { payer, payee, flow, balances } = await arrange();
  const before = await holdMoney(atlas, { ...flow, amount: 10 });
  const exchange = { ...(await openExchangeAccounts(atlas)), debitAccountId: payee, rate: '2' };
  const results = await postSet(atlas, [
    { type: 'transfer', ...flow, amount: 30, reference: 'rent', metadata: { b: '2', a: '1' } },
    { type: 'hold', ...flow, amount: 20, expiresInSeconds: 60 },
    { type: 'post', holdFrom: 1, amount: 5, keepRest: true },
    { type: 'void', holdFrom: 1 },
    { type: 'post', holdId: before.id },
    { type: 'reverse', transferFrom: 0, amount: 7, reference: 'refund' },
    { type: 'exchange', ...exchange, sourceAmount: 4 },
  ]);
  expect(results.map(({ type }) => type)).toEqual([
    'transfer',
    'hold',
    'post',
    'void',
    'post',
    'reverse',
    'exchange',
  ]);
  expect(results.every(({ existed }) => !existed)).toBe(true);
  const [rent, hold, first, voided, second, refund, exchanged] = results;
  expect(rent!.transfer).toMatchObject({
    ...flow,
    amount: 30,
    reference: 'rent',
    metadata: { a: '1', b: '2' },
  });
  expect(hold!.hold).toMatchObject({ ...flow, amount: 20, state: 'pending', posted: 0, remaining: 20 });
  expect(first!.transfer).toMatchObject({ amount: 5, holdId: hold!.hold!.id });
  expect(voided!).toEqual({ type: 'void', existed: false, holdId: hold!.hold!.id });
  expect(await readHold(atlas, voided!.holdId!)).toMatchObject({ state: 'voided', posted: 5, remaining: 0 });
  expect(second!.transfer).toMatchObject({ amount: 10, holdId: before.id });
  expect(refund!.transfer).toMatchObject({
    debitAccountId: payee,
    creditAccountId: payer,
    amount: 7,
    reversesId: rent!.transfer!.id,
  });
  expect(exchanged!.exchange).toMatchObject({ sourceAmount: 4, targetAmount: 8 });
  expect(await balances()).toEqual([62, 34]);
  expect(await readAccount(atlas, payer)).toMatchObject({ debitsPending: 0 });
});

test('one refused movement undoes the whole set, and each that was refused is named', async () => {
  const { flow, balances } = await arrange();
  const hold = await holdMoney(atlas, { ...flow, amount: 10 });
  const before = await readAccount(atlas, flow.debitAccountId);
  const response = await sendSet(atlas, [
    { type: 'transfer', ...flow, amount: 30 },
    { type: 'post', holdId: hold.id },
    { type: 'transfer', ...flow, amount: 61 },
    { type: 'void', holdId: crypto.randomUUID() },
  ]);
  const problem = await expectProblem(atlas, response, 422, 'set_refused');
  expect(problem).toMatchObject({
    detail: '2 of 4 movements were refused, so nothing was posted.',
    errors: [
      { pointer: '/movements/2', code: 'insufficient_funds' },
      { pointer: '/movements/3', code: 'hold_not_found' },
    ],
  });
  expect(await balances()).toEqual([100, 0]);
  expect(await readHold(atlas, hold.id)).toEqual(hold);
  expect(await readAccount(atlas, flow.debitAccountId)).toEqual(before);
});

test('a movement that refers to a refused one is not named', async () => {
  const { flow } = await arrange();
  const response = sendSet(atlas, [
    { type: 'hold', ...flow, amount: 101 },
    { type: 'post', holdFrom: 0 },
    { type: 'reverse', transferFrom: 1 },
    { type: 'void', holdFrom: 0 },
  ]);
  expect(await refusalsOf(response)).toEqual([['/movements/0', 'insufficient_funds']]);
});

test('a repeated set returns what the first one did, and does nothing', async () => {
  const { flow, balances } = await arrange();
  const key = newKey();
  const accounts = await openExchangeAccounts(atlas);
  const movements = [
    { type: 'hold', ...flow, amount: 20 },
    { type: 'post', holdFrom: 0, amount: 15 },
    { type: 'exchange', ...accounts, debitAccountId: flow.debitAccountId, sourceAmount: 3, rate: '1.50' },
  ];
  const first = await sendSet(atlas, movements, key);
  const text = await first.text();
  // Members in another order, and what is the default.
  const same = [
    { amount: 20, expiresInSeconds: 604_800, ...flow, type: 'hold' },
    { type: 'post', holdFrom: 0, holdId: null, amount: 15, keepRest: false },
    { ...movements[2], rate: '1.5', rounding: 'half_even', targetAmount: null },
  ];
  const again = await sendSet(atlas, same, key);
  expect([again.status, again.headers.get('idempotency-replayed')]).toEqual([200, 'true']);
  expect(await again.text()).toBe(text);
  expect(await balances()).toEqual([82, 15]);
  const shorter = await sendSet(atlas, [movements[0]!, movements[1]!], key);
  await expectProblem(atlas, shorter, 422, 'idempotency_key_reused');
});

test('a set that was refused is refused again in the same words, even if it would succeed by now', async () => {
  const { flow, payer } = await arrange(10);
  const key = newKey();
  const movements = [{ type: 'transfer', ...flow, amount: 11 }];
  const first = await refusalsOf(sendSet(atlas, movements, key));
  await postSet(atlas, [{ type: 'transfer', debitAccountId: bank.id, creditAccountId: payer, amount: 5 }]);
  const again = await sendSet(atlas, movements, key);
  expect([again.status, again.headers.get('idempotency-replayed')]).toEqual([422, 'true']);
  expect(await refusalsOf(again)).toEqual(first);
});

test('a repeated set whose key has expired posts nothing twice', async () => {
  const { flow, balances } = await arrange();
  const accounts = { ...(await openExchangeAccounts(atlas)), debitAccountId: flow.debitAccountId };
  const key = newKey();
  const movements = [
    { type: 'transfer', ...flow, amount: 10 },
    { type: 'hold', ...flow, amount: 20 },
    { type: 'post', holdFrom: 1, amount: 20 },
    { type: 'exchange', ...accounts, sourceAmount: 3, rate: '1.5' },
  ];
  const first = await postSet(atlas, movements, key);
  await atlas.sql`DELETE FROM idempotency_keys WHERE key = ${key}`;
  const again = await postSet(atlas, movements, key);
  expect(again.every(({ existed }) => existed)).toBe(true);
  expect(again[3]!.exchange).toEqual(first[3]!.exchange!);
  expect(await balances()).toEqual([67, 30]);
  // A transfer in the place of an exchange is not taken for one of its transfers.
  await atlas.sql`DELETE FROM idempotency_keys WHERE key = ${key}`;
  const source = { debitAccountId: flow.debitAccountId, creditAccountId: accounts.sourceLiquidityAccountId };
  const other = await postSet(atlas, [{ type: 'transfer', ...source, amount: 3 }], `${key}-other`);
  expect(other[0]!.existed).toBe(false);
});

describe('a reference to an earlier movement', () => {
  test.each([
    ['itself', [{ type: 'void', holdFrom: 0 }], '/movements/0/holdFrom'],
    ['a later one', [{ type: 'void', holdFrom: 1 }, { type: 'hold' }], '/movements/0/holdFrom'],
    [
      'one that makes no hold',
      [{ type: 'transfer' }, { type: 'post', holdFrom: 0 }],
      '/movements/1/holdFrom',
    ],
    [
      'one that posts nothing',
      [{ type: 'hold' }, { type: 'reverse', transferFrom: 0 }],
      '/movements/1/transferFrom',
    ],
    [
      'one beside an ID',
      [{ type: 'hold' }, { type: 'void', holdFrom: 0, holdId: '0' }],
      '/movements/1/holdId',
    ],
    ['what cannot be an index', [{ type: 'void', holdFrom: -1 }], '/movements/0/holdFrom'],
    ['nothing', [{ type: 'reverse' }], '/movements/0/transferId'],
  ])('cannot be to %s', async (_, drawn, pointer) => {
    const { flow } = await arrange();
    const id = crypto.randomUUID();
    const movements = drawn.map((one) => ({
      ...(['hold', 'transfer'].includes(one.type) && { ...flow, amount: 1 }),
      ...one,
      ...('holdId' in one && { holdId: id }),
    }));
    const response = await sendSet(atlas, movements);
    await expectProblem(atlas, response, 400, 'invalid_request', [pointer]);
  });
});

describe('the bounds of a set', () => {
  const transfer = { type: 'transfer', debitAccountId: '', creditAccountId: '', amount: 1 };

  test('1,000 movements are posted, and what the last one exceeds undoes them all', async () => {
    const { flow, balances } = await arrange(999);
    const movements = Array.from({ length: 1000 }, () => ({ ...transfer, ...flow }));
    expect(await refusalsOf(sendSet(atlas, movements))).toEqual([['/movements/999', 'insufficient_funds']]);
    expect(await balances()).toEqual([999, 0]);
    const one = {
      type: 'transfer',
      debitAccountId: bank.id,
      creditAccountId: flow.debitAccountId,
      amount: 1,
    };
    const results = await postSet(atlas, [one, ...movements.slice(1)]);
    expect(results).toHaveLength(1000);
    expect(await balances()).toEqual([1, 999]);
  });

  test('an exchange counts as two movements', async () => {
    const exchange = { type: 'exchange', ...(await openExchangeAccounts(atlas)), sourceAmount: 1, rate: '1' };
    const { flow } = await arrange();
    const movements = [...Array.from({ length: 999 }, () => ({ ...transfer, ...flow })), exchange];
    const problem = await expectProblem(atlas, await sendSet(atlas, movements), 400, 'invalid_request');
    expect(problem).toMatchObject({ errors: [{ pointer: '/movements' }] });
    await expectProblem(atlas, await sendSet(atlas, []), 400, 'invalid_request');
    const unknown = await sendSet(atlas, [{ ...transfer, ...flow, type: 'gift' }]);
    await expectProblem(atlas, unknown, 400, 'invalid_request');
  });

  test('metadata that is too large is named by its movement', async () => {
    const { flow } = await arrange();
    const metadata = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`m${i}`, 'x'.repeat(400)]));
    const response = await sendSet(atlas, [
      { ...transfer, ...flow },
      { ...transfer, ...flow, metadata },
    ]);
    const problem = await expectProblem(atlas, response, 422, 'metadata_too_large');
    expect(problem).toMatchObject({ errors: [{ pointer: '/movements/1/metadata' }] });
  });
});

test('a forced reversal in a set needs the scope for it', async () => {
  const { flow, payee, balances } = await arrange();
  const [paid] = await postSet(atlas, [{ type: 'transfer', ...flow, amount: 60 }]);
  await postSet(atlas, [{ type: 'transfer', debitAccountId: payee, creditAccountId: bank.id, amount: 50 }]);
  const movements = [{ type: 'reverse', transferId: paid!.transfer!.id, force: true }];
  const token = await atlas.key(['transfers:write']);
  const refused = await atlas.call('POST', '/v1/sets', {
    json: { movements },
    headers: { 'Idempotency-Key': newKey(), Authorization: `Bearer ${token}` },
  });
  await expectProblem(atlas, refused, 403, 'forbidden');
  expect(await refusalsOf(sendSet(atlas, [{ ...movements[0]!, force: false }]))).toEqual([
    ['/movements/0', 'insufficient_funds'],
  ]);
  await postSet(atlas, movements);
  expect(await balances()).toEqual([100, -50]);
});

test('the key of a set is not that of another request', async () => {
  const { flow } = await arrange();
  const key = newKey();
  await postSet(atlas, [{ type: 'transfer', ...flow, amount: 1 }], key);
  const transfer = postKeyed(atlas, '/v1/transfers', { ...flow, amount: 1 }, key);
  expect(await refusalOf(transfer)).toBe('idempotency_key_reused');
});

test('sets and their movements are counted by outcome, and replays are not', async () => {
  const count = async (name: string) => {
    const text = await (await atlas.call('GET', '/metrics')).text();
    const line = text.split('\n').find((one) => one.startsWith(name));
    return Number(line?.split(' ').at(-1) ?? 0);
  };
  const names = [
    'atlas_ledger_sets_total{outcome="posted"}',
    'atlas_ledger_sets_total{outcome="refused"}',
    'atlas_ledger_set_movements_total{type="hold",outcome="posted"}',
    'atlas_ledger_set_movements_total{type="hold",outcome="rolled_back"}',
    'atlas_ledger_set_movements_total{type="transfer",outcome="insufficient_funds"}',
  ];
  const before = await Promise.all(names.map(count));
  const { flow } = await arrange();
  const [key, hold] = [newKey(), { type: 'hold', ...flow, amount: 1 }];
  await postSet(atlas, [hold], key);
  await postSet(atlas, [hold], key);
  await sendSet(atlas, [hold, { type: 'transfer', ...flow, amount: 100 }]);
  const after = await Promise.all(names.map(count));
  expect(after.map((value, i) => value - before[i]!)).toEqual([1, 1, 1, 1, 1]);
});
