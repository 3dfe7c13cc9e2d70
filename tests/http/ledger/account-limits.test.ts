import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { changeAccount, type FullAccount, setClosed } from '../../support/account-steps.ts';
import { listEvents, relayAll } from '../../support/event-steps.ts';
import {
  type AccountResource,
  openAccount,
  openFundedAccount,
  postTransfer,
  readAccount,
} from '../../support/ledger-steps.ts';
import { holdMoney, postKeyed, refusalOf } from '../../support/movement-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { expectProblem } from '../problem-assertions.ts';

let atlas: TestApp;
let bank: AccountResource;
beforeAll(async () => {
  atlas = await startTestApp();
  bank = await openAccount(atlas);
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

const pay = (from: AccountResource, to: AccountResource, amount: number) =>
  postTransfer(atlas, { debitAccountId: from.id, creditAccountId: to.id, amount });
const read = async ({ id }: AccountResource) => (await readAccount(atlas, id)) as FullAccount;
const stateOf = async ({ id }: AccountResource) => {
  const response = await atlas.call('GET', `/v1/accounts/${id}`);
  return [response.headers.get('etag'), await response.text()];
};
async function change(account: AccountResource, json: object): Promise<FullAccount> {
  const response = await changeAccount(atlas, account.id, json);
  const changed = (await response.json()) as FullAccount;
  expect({ status: response.status, changed }).toMatchObject({ status: 200, changed: {} });
  return changed;
}

describe('limits', () => {
  test('of a new account are those it was opened with, and transfers keep within them', async () => {
    const account = (await openAccount(atlas, {
      allowNegative: false,
      balanceMin: -50,
      balanceMax: 30,
    })) as FullAccount;
    expect(account).toMatchObject({ balanceMin: -50, balanceMax: 30, parentId: null, closedAt: null });
    expect(await refusalOf(pay(account, bank, 51))).toBe('insufficient_funds');
    expect((await pay(account, bank, 50)).status).toBe(201);
    expect(await refusalOf(pay(bank, account, 81))).toBe('balance_limit_exceeded');
    expect((await pay(bank, account, 80)).status).toBe(201);
    expect(await read(account)).toMatchObject({ balance: 30, available: 30 });
  });

  test.each([
    ['a floor above zero', { balanceMin: 1 }, 'balance_below_limit'],
    ['a ceiling below zero', { balanceMax: -1, balanceMin: -9 }, 'balance_above_limit'],
  ] as const)('of a new account cannot be %s', async (_, limits, code) => {
    const json = { ledger: 'EUR', ...limits };
    await expectProblem(atlas, await atlas.call('POST', '/v1/accounts', { json }), 422, code);
  });

  test('can be changed and cleared while the balance is within them', async () => {
    const account = await openFundedAccount(atlas, bank, 100);
    expect(await change(account, { balanceMin: 40, balanceMax: 100 })).toMatchObject({
      balanceMin: 40,
      balanceMax: 100,
    });
    expect(await refusalOf(pay(account, bank, 61))).toBe('insufficient_funds');
    expect(await refusalOf(pay(bank, account, 1))).toBe('balance_limit_exceeded');
    expect(await change(account, { balanceMin: null, balanceMax: null })).toMatchObject({
      balanceMin: null,
      balanceMax: null,
    });
    expect((await pay(account, bank, 100)).status).toBe(201);
  });

  test('that the present balance violates are refused, with what is pending, and change nothing', async () => {
    const account = await openFundedAccount(atlas, bank, 100);
    await holdMoney(atlas, { debitAccountId: account.id, creditAccountId: bank.id, amount: 30 });
    await holdMoney(atlas, { debitAccountId: bank.id, creditAccountId: account.id, amount: 5 });
    const before = await stateOf(account);
    const refused = [
      [{ balanceMin: 71 }, 'balance_below_limit'],
      [{ balanceMax: 104 }, 'balance_above_limit'],
      [{ name: 'other', balanceMin: 0, balanceMax: -1 }, 'balance_above_limit'],
    ] as const;
    for (const [json, code] of refused)
      await expectProblem(atlas, await changeAccount(atlas, account.id, json), 422, code);
    expect(await stateOf(account)).toEqual(before);
    expect(await change(account, { balanceMin: 70, balanceMax: 105 })).toMatchObject({ balanceMin: 70 });
  });

  test('of an account that may be negative can forbid what its balance is no longer, and not what it is', async () => {
    const account = await openAccount(atlas);
    expect((await pay(account, bank, 10)).status).toBe(201);
    expect(await refusalOf(changeAccount(atlas, account.id, { balanceMin: 0 }))).toBe('balance_below_limit');
    expect((await pay(bank, account, 10)).status).toBe(201);
    await change(account, { balanceMin: 0 });
    expect(await refusalOf(pay(account, bank, 1))).toBe('insufficient_funds');
    await change(account, { balanceMin: null });
    expect((await pay(account, bank, 1)).status).toBe(201);
  });

  test('however they change while money moves, the balance is never outside of them', async () => {
    const account = await openFundedAccount(atlas, bank, 50);
    const statuses = await Promise.all(
      Array.from({ length: 40 }, async (_, i) => {
        if (i % 2 === 0) return (await pay(account, bank, 7)).status;
        const floor = (i * 7) % 45;
        return (await changeAccount(atlas, account.id, { balanceMin: floor })).status;
      }),
    );
    expect(new Set(statuses)).toEqual(new Set([200, 201, 422]));
    const { balance, balanceMin } = await read(account);
    expect(balance).toBeGreaterThanOrEqual(balanceMin!);
  });
});

describe('a freeze', () => {
  test('stops debits or credits until it is lifted, and releases of what is reserved go on', async () => {
    const account = await openFundedAccount(atlas, bank, 100);
    const order = { debitAccountId: account.id, creditAccountId: bank.id, amount: 10 };
    const [posted, voided] = [await holdMoney(atlas, order), await holdMoney(atlas, order)];
    expect(await change(account, { debitsFrozen: true })).toMatchObject({
      debitsFrozen: true,
      creditsFrozen: false,
    });
    expect(await refusalOf(pay(account, bank, 1))).toBe('account_frozen');
    expect(await refusalOf(postKeyed(atlas, '/v1/holds', order))).toBe('account_frozen');
    expect(await refusalOf(postKeyed(atlas, `/v1/holds/${posted.id}/post`, {}))).toBe('account_frozen');
    expect((await postKeyed(atlas, `/v1/holds/${voided.id}/void`)).status).toBe(200);
    expect((await pay(bank, account, 1)).status).toBe(201);
    await change(account, { debitsFrozen: null, creditsFrozen: true });
    expect(await refusalOf(pay(bank, account, 1))).toBe('account_frozen');
    expect((await postKeyed(atlas, `/v1/holds/${posted.id}/post`, {})).status).toBe(201);
    await change(account, { creditsFrozen: false });
    expect((await pay(bank, account, 1)).status).toBe(201);
  });
});

describe('closing an account', () => {
  test('needs a balance of zero and nothing pending, and is undone by reopening it', async () => {
    const account = await openFundedAccount(atlas, bank, 10);
    const close = () => setClosed(atlas, account.id, 'close');
    await expectProblem(atlas, await close(), 422, 'account_not_empty');
    const incoming = { debitAccountId: bank.id, creditAccountId: account.id, amount: 5 };
    const hold = await holdMoney(atlas, incoming);
    expect((await pay(account, bank, 10)).status).toBe(201);
    await expectProblem(atlas, await close(), 422, 'account_not_empty');
    expect((await postKeyed(atlas, `/v1/holds/${hold.id}/void`)).status).toBe(200);

    const closed = await close();
    const { closedAt } = (await closed.json()) as FullAccount;
    expect([closed.status, typeof closedAt]).toEqual([200, 'string']);
    expect(await refusalOf(pay(bank, account, 1))).toBe('account_closed');
    expect(await refusalOf(postKeyed(atlas, '/v1/holds', incoming))).toBe('account_closed');
    // Sent again, it stays as it was, and so does its ETag.
    const again = await close();
    expect([again.status, again.headers.get('etag'), ((await again.json()) as FullAccount).closedAt]).toEqual(
      [200, closed.headers.get('etag'), closedAt],
    );
    expect(await change(account, { name: 'Closed in May' })).toMatchObject({
      name: 'Closed in May',
      closedAt,
    });

    const reopened = await setClosed(atlas, account.id, 'reopen');
    expect([reopened.status, ((await reopened.json()) as FullAccount).closedAt]).toEqual([200, null]);
    expect((await setClosed(atlas, account.id, 'reopen')).status).toBe(200);
    expect((await pay(bank, account, 1)).status).toBe(201);
  });

  test('takes If-Match, so that a late retry does not close it again', async () => {
    const account = await openAccount(atlas);
    const headers = { 'If-Match': '"1"' };
    expect((await setClosed(atlas, account.id, 'close', headers)).headers.get('etag')).toBe('"2"');
    expect((await setClosed(atlas, account.id, 'reopen')).headers.get('etag')).toBe('"3"');
    const late = await setClosed(atlas, account.id, 'close', headers);
    await expectProblem(atlas, late, 412, 'precondition_failed');
    expect((await read(account)).closedAt).toBeNull();
  });

  test('while it is paid happens before or after the payment, never in between', async () => {
    for (let round = 0; round < 10; round++) {
      const account = await openAccount(atlas);
      const [closed, paid] = await Promise.all([
        setClosed(atlas, account.id, 'close'),
        pay(bank, account, 1),
      ]);
      const { balance, closedAt } = await read(account);
      expect([closed.status, paid.status, closedAt === null, balance]).toEqual(
        closed.status === 200 ? [200, 422, false, 0] : [422, 201, true, 1],
      );
    }
  });

  test('is for its owner alone, and an account of others is like one that does not exist', async () => {
    const other = await atlas.as('other');
    const account = await openAccount(atlas);
    const before = await stateOf(account);
    const unknown = crypto.randomUUID();
    for (const send of [
      (id: string) => setClosed(other, id, 'close'),
      (id: string) => setClosed(other, id, 'reopen'),
      (id: string) => changeAccount(other, id, { name: 'mine' }),
      (id: string) => changeAccount(other, id, { debitsFrozen: true, balanceMin: 9 }),
      (id: string) => other.call('GET', `/v1/accounts/${id}/rollup`),
    ]) {
      const [theirs, none] = [await send(account.id), await send(unknown)];
      const textOf = async (response: Response, id: string) =>
        (await response.text()).replaceAll(id, 'ID').replace(/"requestId":"[^"]+"/, '');
      expect([theirs.status, await textOf(theirs, account.id)]).toEqual([404, await textOf(none, unknown)]);
    }
    expect(await stateOf(account)).toEqual(before);
  });
});

test('a change has its event and its audit entry, numbered without gaps apart from the transfers of the account', async () => {
  const account = await openAccount(atlas, { name: 'first', metadata: { a: '1' } });
  expect((await pay(bank, account, 3)).status).toBe(201);
  await change(account, { name: 'second', metadata: { b: '2' }, balanceMin: -9 });
  // Nothing changes, so nothing is recorded.
  await change(account, { name: 'second', balanceMin: -9 });
  expect((await pay(account, bank, 3)).status).toBe(201);
  expect((await setClosed(atlas, account.id, 'close')).status).toBe(200);
  expect((await setClosed(atlas, account.id, 'close')).status).toBe(200);
  expect((await setClosed(atlas, account.id, 'reopen')).status).toBe(200);
  await relayAll(atlas);
  const { events } = await listEvents(atlas, '?limit=200&type=account.updated.v1');
  const [updated] = events.filter(({ data }) => (data as { accountId: string }).accountId === account.id);
  const changes = (await listEvents(atlas, `?key=${updated!.subject}`)).events;
  expect(changes.map(({ type, sequence }) => [type, sequence])).toEqual([
    ['account.updated.v1', '1'],
    ['account.closed.v1', '2'],
    ['account.reopened.v1', '3'],
  ]);
  expect(updated!.data).toEqual({
    accountId: account.id,
    ledger: 'EUR',
    name: 'second',
    metadata: { b: '2' },
    parentId: null,
    balanceMin: -9,
    balanceMax: null,
    debitsFrozen: false,
    creditsFrozen: false,
    closedAt: null,
    accountVersion: 1,
    changed: ['balanceMin', 'metadata', 'name'],
  });
  expect(changes[1]!.data).toMatchObject({ closedAt: expect.any(String), accountVersion: 2 });
  const own = (await listEvents(atlas, `?key=${account.id}`)).events.map(({ sequence }) => sequence);
  expect(own).toEqual(['0', '1', '2']);
  const entries = await atlas.sql`
    SELECT action, before, after FROM audit_entries WHERE target_id = ${account.id} ORDER BY id`;
  expect(entries.map(({ action }) => action)).toEqual([
    'account.created',
    'account.updated',
    'account.closed',
    'account.reopened',
  ]);
  expect(entries[1]).toMatchObject({
    before: { name: 'first', balanceMin: null, metadataSha256: expect.any(String) },
    after: { name: 'second', balanceMin: -9, metadataSha256: expect.any(String) },
  });
  expect(JSON.stringify(entries)).not.toContain('"b"');
});

test('an account that was renamed is still found by the request that opened it', async () => {
  const content = { id: crypto.randomUUID(), ledger: 'EUR', name: 'first' };
  const open = () => atlas.call('POST', '/v1/accounts', { json: content });
  expect((await open()).status).toBe(201);
  expect((await changeAccount(atlas, content.id, { name: 'second' })).status).toBe(200);
  const again = await open();
  expect([again.status, ((await again.json()) as FullAccount).name]).toEqual([200, 'second']);
});

test('metadata is replaced or cleared as a whole, up to its size', async () => {
  const account = await openAccount(atlas, { metadata: { a: '1', b: '2' } });
  expect((await change(account, { metadata: { c: '3' } })).metadata).toEqual({ c: '3' });
  expect((await change(account, { metadata: null, name: null })).metadata).toEqual({});
  const metadata = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`m${i}`, 'ü'.repeat(500)]));
  await expectProblem(atlas, await changeAccount(atlas, account.id, { metadata }), 422, 'metadata_too_large');
});

test('a reversal by force that has left too little can get a floor that it keeps, and then pays again', async () => {
  const account = await openFundedAccount(atlas, bank, 100);
  const [{ id }] = await atlas.sql<[{ id: string }]>`
    SELECT id FROM transfers WHERE credit_account_id = ${account.id}`;
  expect((await pay(account, bank, 60)).status).toBe(201);
  expect((await postKeyed(atlas, `/v1/transfers/${id}/reverse`, { force: true })).status).toBe(201);
  expect(await read(account)).toMatchObject({ balance: -60 });
  expect(await refusalOf(changeAccount(atlas, account.id, { balanceMin: -59 }))).toBe('balance_below_limit');
  await change(account, { balanceMin: -70 });
  expect((await pay(account, bank, 10)).status).toBe(201);
  expect(await refusalOf(pay(account, bank, 1))).toBe('insufficient_funds');
});
