import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { ApiCaller } from '../../support/api-caller.ts';
import { type AccountResource, openAccount, postTransfer } from '../../support/ledger-steps.ts';
import { indexAll } from '../../support/search-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';

const ACTOR = { kind: 'command', id: 'test' } as const;
let atlas: TestApp;
let [acme, umbrella]: ApiCaller[] = [];
let [payer, payee]: AccountResource[] = [];

beforeAll(async () => {
  atlas = await startTestApp();
  [acme, umbrella] = [await atlas.as('acme'), await atlas.as('umbrella')];
  payer = await openAccount(acme, { metadata: { hidden: 'of acme' } });
  payee = await openAccount(umbrella, { acceptsFrom: ['*'] });
  const order = { amount: 7, reference: 'for both', metadata: { note: 'of the payer' } };
  const posted = await postTransfer(acme, {
    debitAccountId: payer.id,
    creditAccountId: payee.id,
    ...order,
  });
  expect(posted.status).toBe(201);
  await indexAll(atlas);
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

/** What a search returns to this caller: how many, their metadata, and how many it has compared. */
async function find(caller: ApiCaller, filter: unknown) {
  const response = await caller.call('POST', '/v1/transfers/search', { json: { filter } });
  expect(response.status).toBe(200);
  const { transfers, examined } = (await response.json()) as {
    transfers: { metadata: object }[];
    examined: number;
  };
  return { metadata: transfers.map(({ metadata }) => metadata), examined };
}

describe('a payee of another organization', () => {
  test('finds the transfer by what it sees of it', async () => {
    for (const filter of [
      { field: 'reference', eq: 'for both' },
      { field: 'debitAccountId', eq: payer!.id },
      { field: 'amount', eq: 7 },
      // To the payee, it has no metadata.
      { not: { field: 'metadata.note', eq: 'of the payer' } },
      { field: 'metadata.note', eq: null },
    ])
      expect(await find(umbrella!, filter)).toEqual({ metadata: [{}], examined: 1 });
  });

  test('does not find it by its metadata, and cannot see whether there is any', async () => {
    for (const value of ['of the payer', 'anything else'])
      for (const filter of [
        { field: 'metadata.note', eq: value },
        { field: 'metadata.note', in: [value] },
        { contains: { metadata: { note: value } } },
      ])
        expect(await find(umbrella!, filter)).toEqual({ metadata: [], examined: 0 });
    for (const filter of [
      { field: 'metadata.note', startsWith: 'of' },
      { not: { field: 'metadata.note', eq: null } },
      { field: 'metadata.note', gte: '' },
    ])
      expect((await find(umbrella!, filter)).metadata).toEqual([]);
    expect((await find(acme!, { field: 'metadata.note', eq: 'of the payer' })).metadata).toHaveLength(1);
  });
});

test('others find nothing, and compare nothing', async () => {
  const other = await atlas.as('other');
  for (const filter of [
    { field: 'reference', eq: 'for both' },
    { field: 'accountId', in: [payer!.id, payee!.id] },
    { field: 'amount', gte: 1 },
  ])
    expect(await find(other, filter)).toEqual({ metadata: [], examined: 0 });
  for (const query of ['metadata[hidden]=of+acme', 'sort=-createdAt', 'ledger=EUR']) {
    const response = await other.call('GET', `/v1/accounts?${query}`);
    expect([response.status, await response.json()]).toEqual([200, { accounts: [], nextCursor: null }]);
  }
});

test('a key that may not read transfers, or accounts, may not search them', async () => {
  for (const [scope, method, path] of [
    ['accounts:read', 'POST', '/v1/transfers/search'],
    ['accounts:read', 'GET', '/v1/transfers'],
    ['transfers:read', 'POST', '/v1/accounts/search'],
  ] as const) {
    const headers = { Authorization: `Bearer ${await atlas.key([scope])}` };
    const response = await atlas.call(method, path, method === 'POST' ? { json: {}, headers } : { headers });
    expect(response.status).toBe(403);
  }
});

describe('what an account that is given to another organization has', () => {
  const everything = { field: 'amount', gte: 1 };

  test('is not found by the former one at once, and by the new one after the next step', async () => {
    const [former, next] = [await atlas.as('former'), await atlas.as('next')];
    const moved = await openAccount(former);
    const own = await openAccount(former);
    const pay = (from: AccountResource, to: AccountResource, note: string) =>
      postTransfer(former, {
        debitAccountId: from.id,
        creditAccountId: to.id,
        amount: 1,
        metadata: { note },
      });
    expect((await pay(moved, own, 'out')).status).toBe(201);
    expect((await pay(own, moved, 'in')).status).toBe(201);
    await indexAll(atlas);
    expect((await find(former, everything)).metadata).toEqual([{ note: 'in' }, { note: 'out' }]);

    const { reassignment } = atlas.features.ledger;
    await reassignment.run({ from: 'former', ids: [moved.id] }, 'next', ACTOR);
    expect((await find(former, everything)).metadata).toEqual([{ note: 'in' }, {}]);
    expect((await find(former, { field: 'metadata.note', eq: 'out' })).metadata).toEqual([]);
    await indexAll(atlas);
    expect((await find(former, { field: 'metadata.note', eq: 'out' })).examined).toBe(0);
    expect((await find(next, everything)).metadata).toEqual([{}, { note: 'out' }]);
    expect((await find(next, { field: 'metadata.note', eq: 'out' })).metadata).toHaveLength(1);

    // Back again: what was there before is there again, and once.
    await reassignment.run({ from: 'next', ids: [moved.id] }, 'former', ACTOR);
    await indexAll(atlas);
    expect((await find(former, everything)).metadata).toEqual([{ note: 'in' }, { note: 'out' }]);
    expect(await find(next, everything)).toEqual({ metadata: [], examined: 0 });
  });
});

describe('an index that is not complete', () => {
  test('refuses searches until it has what was there before, and then has all of it', async () => {
    const filter = { field: 'metadata.note', eq: 'of the payer' };
    await atlas.sql`TRUNCATE transfer_terms, account_terms`;
    await atlas.sql`UPDATE search_progress SET has_transfers = false, has_accounts = false`;
    for (const [method, path] of [
      ['POST', '/v1/transfers/search'],
      ['POST', '/v1/accounts/search'],
      ['GET', '/v1/accounts?ledger=EUR'],
    ] as const) {
      const response = await acme!.call(method, path, method === 'POST' ? { json: {} } : {});
      expect([response.status, await response.json()]).toEqual([
        503,
        expect.objectContaining({ type: '/problems/search_not_ready' }),
      ]);
      expect(response.headers.get('retry-after')).toBe('10');
    }
    expect((await acme!.call('GET', '/v1/accounts')).status).toBe(200);
    await indexAll(atlas);
    expect((await find(acme!, filter)).metadata).toHaveLength(1);
    const accounts = await acme!.call('GET', '/v1/accounts?metadata[hidden]=of+acme');
    expect(await accounts.json()).toMatchObject({ accounts: [{ id: payer!.id }] });
  });

  test('is filled again if events were deleted that it had not read', async () => {
    await atlas.sql`TRUNCATE transfer_terms`;
    await atlas.sql`UPDATE search_progress SET position = 0`;
    await atlas.sql`UPDATE log_start SET position = 1`;
    await indexAll(atlas);
    await atlas.sql`UPDATE log_start SET position = 0`;
    expect((await find(acme!, { field: 'metadata.note', eq: 'of the payer' })).metadata).toHaveLength(1);
  });
});
