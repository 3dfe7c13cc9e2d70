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
import { expectProblem } from '../problem-assertions.ts';

let atlas: TestApp;
let operator: ApiCaller;
let stranger: ApiCaller;
beforeAll(async () => {
  atlas = await startTestApp();
  const token = await atlas.operatorKey();
  operator = {
    call: (method, path, init = {}) =>
      atlas.call(method, path, {
        ...init,
        headers: { ...init.headers, Authorization: `Bearer ${token}` },
      }),
  } as ApiCaller;
  stranger = await atlas.as('umbrella');
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

let [a, shop]: string[] = [];
beforeEach(async () => {
  [a, shop] = await Promise.all([1, 2].map(async () => (await openAccount(atlas)).id));
});

const pay = (amount: number, from = a!, to = shop!, key = newKey(), caller: ApiCaller = atlas) =>
  postTransfer(caller, { debitAccountId: from, creditAccountId: to, amount }, key);
const statusOf = async (response: Promise<Response>) => (await response).status;
const usedOf = async (id: string) => {
  const { hour, day, total } = (await readLimit(atlas, id)).usage;
  return { hour: [hour.amount, hour.count], day: [day.amount, day.count], total: total.amount };
};

describe('another organization', () => {
  test('learns nothing about a limit of what an account is paid, however it asks', async () => {
    const open = (await openAccount(atlas, { acceptsFrom: ['*'] })).id;
    const { id } = await createLimit(atlas, limitOf([open], { dayAmount: 50 }, { counts: 'credits' }));
    const theirs = (await openAccount(stranger)).id;
    const order = { debitAccountId: theirs, creditAccountId: open, amount: 51 };
    const refused = await postTransfer(stranger, order);
    const text = await refused.clone().text();
    await expectProblem(atlas, refused, 422, 'unknown_account');
    expect(text).not.toContain(id);
    expect(text).not.toContain('Payouts');
    // What costs them nothing does not show it either.
    const hold = await holdMoney(stranger, order);
    expect(await usedOf(id)).toMatchObject({ day: [0, 0] });
    expect(await refusalOf(postKeyed(stranger, `/v1/holds/${hold.id}/post`, {}))).toBe('unknown_account');
    const none = { debitAccountId: theirs, creditAccountId: crypto.randomUUID(), amount: 1 };
    const batch = { transfers: [order, none], atomic: true };
    const { errors } = (await (await postKeyed(stranger, '/v1/transfers/batch', batch)).json()) as {
      errors: object[];
    };
    expect(errors).toMatchObject([{ pointer: '/transfers/1', code: 'unknown_account' }]);
    await postHold(stranger, hold.id, { amount: 50 });
    expect(await usedOf(id)).toMatchObject({ day: [50, 1] });
  });

  test('finds no limits of others', async () => {
    const { id } = await createLimit(atlas, limitOf([a!], { dayAmount: 1 }));
    const path = `/v1/limits/${id}`;
    const headers = { 'If-Match': '*' };
    for (const response of [
      stranger.call('GET', path),
      stranger.call('DELETE', path),
      stranger.call('PATCH', path, { json: { name: 'x' }, headers }),
    ])
      await expectProblem(atlas, await response, 404, 'limit_not_found');
    const { limits } = (await (await stranger.call('GET', '/v1/limits')).json()) as { limits: object[] };
    expect(limits).toEqual([]);
    expect((await readLimit(atlas, id)).name).toBe('Payouts');
  });
});

describe('an operator', () => {
  const PATH = '/v1/operator/organizations/owner/limits';

  test('sets limits that the organization sees, but cannot change or delete', async () => {
    const limit = await createLimit(operator, limitOf([a!], { dayAmount: 10 }), PATH);
    expect(limit.setBy).toBe('operator');
    expect(await (await pay(11)).json()).toMatchObject({ limit: { id: limit.id } });
    expect((await readLimit(atlas, limit.id)).setBy).toBe('operator');
    const change = await changeLimit(atlas, limit.id, { maxima: { dayAmount: 100 } });
    await expectProblem(atlas, change, 403, 'limit_of_operator');
    const removal = await atlas.call('DELETE', `/v1/limits/${limit.id}`);
    await expectProblem(atlas, removal, 403, 'limit_of_operator');
    expect(await refusalOf(pay(11))).toBe('limit_exceeded');
    const json = { maxima: { dayAmount: 11 } };
    const raised = operator.call('PATCH', `${PATH}/${limit.id}`, { json, headers: { 'If-Match': '*' } });
    expect(await statusOf(raised)).toBe(200);
    expect(await statusOf(pay(11))).toBe(201);
    expect(await statusOf(operator.call('DELETE', `${PATH}/${limit.id}`))).toBe(204);
  });

  test('gets 404 for an organization that does not exist', async () => {
    const json = limitOf(null, { dayAmount: 10 });
    const response = await operator.call('POST', PATH.replace('owner', 'nobody'), { json });
    await expectProblem(atlas, response, 404, 'organization_not_found');
  });
});

test('limits are listed in pages, oldest first, without their accounts', async () => {
  const owner = await atlas.as('lister');
  const account = (await openAccount(owner)).id;
  const ids: string[] = [];
  for (let n = 0; n < 3; n++) ids.push((await createLimit(owner, limitOf([account], { dayCount: n }))).id);
  const found: string[] = [];
  for (let path: string | null = '/v1/limits?limit=2'; path !== null; ) {
    const page = (await (await owner.call('GET', path)).json()) as {
      limits: (LimitResource & { accountCount: number })[];
      nextCursor: string | null;
    };
    expect(page.limits.every((one) => one.accountCount === 1 && !('accountIds' in one))).toBe(true);
    found.push(...page.limits.map(({ id }) => id));
    path = page.nextCursor && `/v1/limits?limit=2&cursor=${page.nextCursor}`;
  }
  expect(found).toEqual(ids);
});

test('refusals are counted by maximum, and replays are not', async () => {
  const countOf = async () =>
    (await atlas.registry.getSingleMetric('atlas_ledger_limit_refusals_total')!.get()).values.find(
      ({ labels }) => labels.maximum === 'transferAmount',
    )!.value;
  await createLimit(atlas, limitOf([a!], { transferAmount: 1 }));
  const before = await countOf();
  const key = newKey();
  for (let n = 0; n < 2; n++) await pay(2, a!, shop!, key);
  expect(await countOf()).toBe(before + 1);
});
