import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import type { ApiCaller } from '../../support/api-caller.ts';
import { newKey, openAccount, postTransfer } from '../../support/ledger-steps.ts';
import {
  changeLimit,
  createLimit,
  type LimitResource,
  limitOf,
  readLimit,
} from '../../support/limit-steps.ts';
import { holdMoney, postHold, postKeyed, refusalOf } from '../../support/movement-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';
import { expectProblem } from '../problem-assertions.ts';

let atlas: TestApp;
let stranger: ApiCaller;
beforeAll(async () => {
  atlas = await startTestApp();
  stranger = await atlas.as('umbrella');
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

let [a, b, shop]: string[] = [];
beforeEach(async () => {
  [a, b, shop] = await Promise.all([1, 2, 3].map(async () => (await openAccount(atlas)).id));
});

const pay = (amount: number, from = a!, to = shop!, key = newKey(), caller: ApiCaller = atlas) =>
  postTransfer(caller, { debitAccountId: from, creditAccountId: to, amount }, key);
const statusOf = async (response: Promise<Response>) => (await response).status;
const usedOf = async (id: string) => {
  const { hour, day, total } = (await readLimit(atlas, id)).usage;
  return { hour: [hour.amount, hour.count], day: [day.amount, day.count], total: total.amount };
};
const expire = () => atlas.jobs.find(({ name }) => name === 'release expired holds')!.run();

describe('a limit of a group', () => {
  test('adds up what its accounts pay, and names itself when that would be too much', async () => {
    const limit = await createLimit(atlas, limitOf([a!, b!], { dayAmount: 100, hourCount: 50 }));
    expect(limit).toMatchObject({
      scope: 'accounts',
      accountCount: 2,
      counts: 'debits',
      countsInternal: false,
      setBy: 'organization',
      maxima: { dayAmount: 100, hourCount: 50, totalAmount: null },
    });
    expect([...limit.accountIds!].sort()).toEqual([a!, b!].sort());
    expect(await statusOf(pay(60))).toBe(201);
    expect(await statusOf(pay(30, b!))).toBe(201);
    const key = newKey();
    const problem = await expectProblem(atlas, await pay(11, b!, shop!, key), 422, 'limit_exceeded');
    const { resetsAt } = limit.usage.day;
    expect(problem).toMatchObject({
      detail: `The limit "Payouts" allows 100 in minor units per day, of which 10 remain until ${resetsAt}.`,
      limit: {
        id: limit.id,
        name: 'Payouts',
        maximum: 'dayAmount',
        max: 100,
        used: 90,
        remaining: 10,
        resetsAt,
      },
    });
    const again = await pay(11, b!, shop!, key);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect({ ...((await again.json()) as object), requestId: '' }).toEqual({ ...problem, requestId: '' });
    expect(await statusOf(pay(10))).toBe(201);
    expect(await usedOf(limit.id)).toEqual({ hour: [100, 3], day: [100, 3], total: 100 });
  });

  test('counts neither what stays in the group, nor what comes in, nor what is refused or repeated', async () => {
    const { id } = await createLimit(atlas, limitOf([a!, b!], { totalAmount: 100 }));
    const key = newKey();
    for (const payment of [pay(5, a!, shop!, key), pay(1000, a!, b!), pay(1000, shop!, a!), pay(1000)])
      await payment;
    expect(await statusOf(pay(5, a!, shop!, key))).toBe(201);
    expect(await usedOf(id)).toEqual({ hour: [5, 1], day: [5, 1], total: 5 });
  });

  test('counts what comes in, or both, if it says so', async () => {
    const income = await createLimit(atlas, limitOf([a!, b!], { dayAmount: 50 }, { counts: 'credits' }));
    const content = { counts: 'both', countsInternal: true };
    const both = await createLimit(atlas, limitOf([a!, b!], { dayCount: 9 }, content));
    for (const payment of [pay(50, shop!, a!), pay(7, a!, b!), pay(3, a!, shop!)])
      expect(await statusOf(payment)).toBe(201);
    expect(await refusalOf(pay(1, shop!, b!))).toBe('limit_exceeded');
    expect(await usedOf(income.id)).toMatchObject({ day: [50, 1] });
    expect(await usedOf(both.id)).toMatchObject({ day: [60, 3] });
  });

  test('counts a hold when it is made, and gives back what is voided or expires', async () => {
    const { id } = await createLimit(atlas, limitOf([a!], { dayAmount: 100 }));
    const order = { debitAccountId: a!, creditAccountId: shop!, amount: 60 };
    const hold = await holdMoney(atlas, order);
    expect(await refusalOf(postKeyed(atlas, '/v1/holds', order))).toBe('limit_exceeded');
    await postHold(atlas, hold.id, { amount: 10, keepRest: true });
    expect(await usedOf(id)).toMatchObject({ day: [60, 1] });
    expect(await statusOf(postKeyed(atlas, `/v1/holds/${hold.id}/void`))).toBe(200);
    expect(await usedOf(id)).toMatchObject({ day: [10, 1], total: 10 });
    await holdMoney(atlas, { ...order, expiresInSeconds: 1 });
    await until(async () => {
      await expire();
      return (await usedOf(id)).total === 10;
    });
    expect(await usedOf(id)).toMatchObject({ hour: [10, 1], day: [10, 1] });
    const other = await holdMoney(atlas, order);
    await postHold(atlas, other.id, { amount: 20 });
    expect(await usedOf(id)).toMatchObject({ day: [30, 2] });
  });

  test('is neither used nor given back by a reversal', async () => {
    const { id } = await createLimit(atlas, limitOf([a!], { totalAmount: 10 }));
    const { id: transfer } = (await (await pay(10)).json()) as { id: string };
    expect(await statusOf(postKeyed(atlas, `/v1/transfers/${transfer}/reverse`, {}))).toBe(201);
    expect(await usedOf(id)).toMatchObject({ total: 10 });
    const { id: income } = (await (await pay(5, shop!, a!)).json()) as { id: string };
    expect(await statusOf(postKeyed(atlas, `/v1/transfers/${income}/reverse`, {}))).toBe(201);
  });

  test('is exact when many pay at once', async () => {
    const { id } = await createLimit(atlas, limitOf([a!, b!], { dayAmount: 100, hourCount: 30 }));
    const statuses = await Promise.all(
      Array.from({ length: 60 }, (_, i) => statusOf(pay(7, i % 2 === 0 ? a! : b!))),
    );
    expect(statuses.filter((status) => status === 201)).toHaveLength(14);
    expect(await usedOf(id)).toMatchObject({ day: [98, 14] });
  });
});

describe('a limit of all accounts', () => {
  test('covers accounts that are opened later, and transfers between them, and no other ledger', async () => {
    const owner = await atlas.as('whole');
    const { id } = await createLimit(owner, limitOf(null, { transferAmount: 100 }));
    const [from, to] = [(await openAccount(owner)).id, (await openAccount(owner)).id];
    const problem = await (await pay(101, from, to, newKey(), owner)).json();
    expect(problem).toMatchObject({
      detail: 'The limit "Payouts" allows 100 in minor units for each transfer.',
      limit: { id, maximum: 'transferAmount', max: 100, used: null, remaining: 100, resetsAt: null },
    });
    expect(await statusOf(pay(100, from, to, newKey(), owner))).toBe(201);
    const [usd, more] = await Promise.all([1, 2].map(() => openAccount(owner, { ledger: 'USD' })));
    expect(await statusOf(pay(101, usd!.id, more!.id, newKey(), owner))).toBe(201);
  });
});

describe('a batch', () => {
  const batch = (amounts: readonly number[], atomic: boolean) =>
    postKeyed(atlas, '/v1/transfers/batch', {
      transfers: amounts.map((amount) => ({ debitAccountId: a, creditAccountId: shop, amount })),
      atomic,
    });

  test('names the limit in the results of the transfers that it refuses', async () => {
    const { id } = await createLimit(atlas, limitOf([a!], { dayAmount: 100 }));
    const { results } = (await (await batch([60, 60, 40], false)).json()) as { results: object[] };
    expect(results).toMatchObject([
      { status: 'posted' },
      { status: 'refused', code: 'limit_exceeded', limit: { id, remaining: 40 } },
      { status: 'posted' },
    ]);
    expect(await usedOf(id)).toMatchObject({ day: [100, 2] });
  });

  test('uses nothing if it is atomic and something in it is refused', async () => {
    const { id } = await createLimit(atlas, limitOf([a!], { dayAmount: 100 }));
    const response = await batch([60, 60], true);
    const { errors } = await expectProblem(atlas, response, 422, 'batch_refused', ['/transfers/1']);
    expect(errors![0]).toMatchObject({
      code: 'limit_exceeded',
      detail: expect.stringContaining('"Payouts"'),
    });
    expect(await usedOf(id)).toMatchObject({ day: [0, 0] });
  });
});

describe('a change', () => {
  test('takes effect at once, and may leave less than what is used', async () => {
    const limit = await createLimit(atlas, limitOf([a!], { dayAmount: 100 }));
    expect(await statusOf(pay(80))).toBe(201);
    expect(await statusOf(changeLimit(atlas, limit.id, { maxima: { dayAmount: 50 } }))).toBe(200);
    expect(await (await pay(1)).json()).toMatchObject({ limit: { max: 50, used: 80, remaining: 0 } });
    const renamed = changeLimit(atlas, limit.id, { name: 'Salaries', maxima: { dayAmount: 81 } });
    expect(await (await renamed).json()).toMatchObject({ name: 'Salaries', maxima: { dayAmount: 81 } });
    expect(await statusOf(pay(1))).toBe(201);
    expect(await statusOf(changeLimit(atlas, limit.id, { accountIds: [b!] }))).toBe(200);
    expect(await statusOf(pay(1000))).toBe(201);
    expect(await refusalOf(pay(1, b!))).toBe('limit_exceeded');
    const removed = changeLimit(atlas, limit.id, { maxima: { dayAmount: null, hourCount: 9 } });
    expect(await (await removed).json()).toMatchObject({ maxima: { dayAmount: null, hourCount: 9 } });
    expect(await statusOf(pay(1, b!))).toBe(201);
  });

  test('needs the ETag, and must leave a maximum', async () => {
    const response = await atlas.call('POST', '/v1/limits', { json: limitOf([a!], { dayAmount: 100 }) });
    const { id } = (await response.json()) as LimitResource;
    const etag = response.headers.get('etag')!;
    const renamed = await changeLimit(atlas, id, { name: 'Other' }, { 'If-Match': etag });
    expect(renamed.status).toBe(200);
    expect(renamed.headers.get('etag')).not.toBe(etag);
    const stale = await changeLimit(atlas, id, { name: 'Third' }, { 'If-Match': etag });
    await expectProblem(atlas, stale, 412, 'precondition_failed');
    const blind = await atlas.call('PATCH', `/v1/limits/${id}`, { json: { name: 'Third' } });
    await expectProblem(atlas, blind, 428, 'precondition_required');
    const empty = await changeLimit(atlas, id, { maxima: { dayAmount: null } });
    await expectProblem(atlas, empty, 400, 'invalid_request', ['/maxima']);
  });

  test('that deletes a limit ends it, and its rows are deleted later', async () => {
    const { id } = await createLimit(atlas, limitOf([a!], { dayAmount: 1 }));
    await holdMoney(atlas, { debitAccountId: a!, creditAccountId: shop!, amount: 1 });
    expect(await refusalOf(pay(1))).toBe('limit_exceeded');
    expect(await statusOf(atlas.call('DELETE', `/v1/limits/${id}`))).toBe(204);
    expect(await statusOf(pay(1000))).toBe(201);
    const gone = await atlas.call('DELETE', `/v1/limits/${id}`);
    await expectProblem(atlas, gone, 404, 'limit_not_found');
    await atlas.jobs.find(({ name }) => name === 'delete rows of deleted limits')!.run();
    expect(
      await atlas.sql`
      SELECT FROM limits WHERE id = ${id} UNION ALL SELECT FROM limit_accounts WHERE limit_id = ${id}
      UNION ALL SELECT FROM limit_reservations WHERE limit_id = ${id}`,
    ).toHaveLength(0);
  });
});

describe('a limit cannot be created', () => {
  test('for accounts of others, which are like those that do not exist, or of another ledger', async () => {
    const theirs = (await openAccount(stranger)).id;
    const usd = (await openAccount(atlas, { ledger: 'USD' })).id;
    for (const id of [theirs, crypto.randomUUID()]) {
      const json = limitOf([a!, id], { dayAmount: 1 });
      const response = await atlas.call('POST', '/v1/limits', { json });
      await expectProblem(atlas, response, 422, 'unknown_account', ['/accountIds/1']);
    }
    const json = limitOf([usd], { dayAmount: 1 });
    const response = await atlas.call('POST', '/v1/limits', { json });
    await expectProblem(atlas, response, 422, 'different_ledgers', ['/accountIds/0']);
  });

  test('without a maximum, without accounts, or if an account is in too many', async () => {
    for (const json of [
      limitOf([a!], {}),
      limitOf([], { dayAmount: 1 }),
      limitOf([a!], { dayAmount: -1 }),
      limitOf(Array(1001).fill(a), { dayAmount: 1 }),
    ])
      expect(await refusalOf(atlas.call('POST', '/v1/limits', { json }))).toBe('invalid_request');
    for (let n = 0; n < 10; n++) await createLimit(atlas, limitOf([a!], { dayAmount: 1 }));
    const response = await atlas.call('POST', '/v1/limits', { json: limitOf([b!, a!], { dayAmount: 1 }) });
    await expectProblem(atlas, response, 422, 'too_many_limits', ['/accountIds/1']);
  });
});
