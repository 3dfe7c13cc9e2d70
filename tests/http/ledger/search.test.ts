import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { ApiCaller } from '../../support/api-caller.ts';
import {
  type AccountResource,
  openAccount,
  postBatch,
  postTransfer,
  type TransferResource,
} from '../../support/ledger-steps.ts';
import { indexAll } from '../../support/search-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';

let atlas: TestApp;
let bank: AccountResource;
let alice: AccountResource;
let bob: AccountResource;

beforeAll(async () => {
  atlas = await startTestApp();
  bank = await openAccount(atlas, { name: 'Bank', kind: 'asset' });
  alice = await openAccount(atlas, {
    name: 'Alice',
    kind: 'liability',
    metadata: { city: 'Köln', vip: 'yes' },
  });
  bob = await openAccount(atlas, { name: 'Bob', kind: 'liability', metadata: { city: 'Köln' } });
  const orders = [
    { amount: 100, reference: 'Invoice 1', metadata: { order: '1', channel: 'web' } },
    { amount: 200, reference: 'Invoice 2', metadata: { order: '2', channel: 'pos' } },
    { amount: 300, reference: 'Refund 1', metadata: { order: '1' } },
    { amount: 400 },
  ];
  for (const order of orders) await pay(alice, order);
  await pay(bob, { amount: 500, reference: 'Invoice 5', metadata: { order: '5', channel: 'web' } });
  await indexAll(atlas);
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

async function pay(
  to: AccountResource,
  order: object,
  from = bank,
  as: ApiCaller = atlas,
): Promise<TransferResource> {
  const posted = await postTransfer(as, { debitAccountId: from.id, creditAccountId: to.id, ...order });
  expect(posted.status).toBe(201);
  return (await posted.json()) as TransferResource;
}

interface Page {
  readonly transfers: readonly TransferResource[];
  readonly accounts: readonly AccountResource[];
  readonly nextCursor: string | null;
  readonly examined: number;
  readonly asOf: string;
}

async function read(response: Response): Promise<Page> {
  const body = await response.json();

  expect([response.status, body]).toEqual([200, expect.anything()]);
  return body as Page;
}

const search = async (filter: unknown, as: ApiCaller = atlas, query = '') =>
  read(await as.call('POST', `/v1/transfers/search${query}`, { json: filter === null ? {} : { filter } }));
const amounts = async (filter: unknown, as?: ApiCaller) =>
  (await search(filter, as)).transfers.map(({ amount }) => amount);
const names = async (path: string, json?: object) => {
  const response = await atlas.call(json ? 'POST' : 'GET', path, json && { json });
  return (await read(response)).accounts.map((account) => (account as unknown as { name: string }).name);
};

describe('a search of transfers', () => {
  test.each<[string, unknown, number[]]>([
    ['everything, newest first', null, [500, 400, 300, 200, 100]],
    ['a reference', { field: 'reference', eq: 'Invoice 2' }, [200]],
    ['what has no reference', { field: 'reference', eq: null }, [400]],
    ['a value of metadata', { field: 'metadata.order', eq: '1' }, [300, 100]],
    ['values of metadata', { contains: { metadata: { order: '1', channel: 'web' } } }, [100]],
    ['a range of amounts', { field: 'amount', gte: 200, lt: 400 }, [300, 200]],
    ['a list of amounts', { field: 'amount', in: [100, 500, 7] }, [500, 100]],
    ['the start of a text', { field: 'reference', startsWith: 'Inv' }, [500, 200, 100]],
    [
      'all of two',
      {
        and: [
          { field: 'metadata.channel', eq: 'web' },
          { field: 'amount', gt: 100 },
        ],
      },
      [500],
    ],
    [
      'any of two',
      {
        or: [
          { field: 'reference', eq: 'Refund 1' },
          { field: 'metadata.order', eq: '5' },
        ],
      },
      [500, 300],
    ],
    [
      'a negation, also of what is missing',
      { not: { field: 'metadata.channel', eq: 'web' } },
      [400, 300, 200],
    ],
  ])('finds %s', async (_, filter, expected) => {
    expect(await amounts(filter)).toEqual(expected);
  });

  test('finds the transfers of an account, of either side', async () => {
    expect(await amounts({ field: 'accountId', eq: bob.id.toUpperCase() })).toEqual([500]);
    expect(await amounts({ field: 'debitAccountId', eq: bob.id })).toEqual([]);
    expect(await amounts({ field: 'accountId', in: [bob.id, alice.id] })).toHaveLength(5);
  });

  test('finds a range of times, to the millisecond that the API shows', async () => {
    const { transfers } = await search(null);
    const { createdAt } = transfers[2]!;
    expect(await amounts({ field: 'createdAt', gte: createdAt, lte: createdAt })).toContain(300);
    expect(await amounts({ field: 'createdAt', lt: createdAt })).not.toContain(300);
    expect(await amounts({ field: 'createdAt', gt: createdAt })).not.toContain(300);
  });

  test('reads an index: a rare value is found without comparing the others', async () => {
    const page = await search({
      and: [
        { field: 'metadata.order', eq: '5' },
        { field: 'amount', gte: 1 },
      ],
    });
    expect([page.transfers.length, page.examined]).toEqual([1, 1]);
  });

  test('has pages in both orders that end, without gaps or repetitions', async () => {
    for (const [sort, expected] of [
      ['-createdAt', [500, 400, 300, 200, 100]],
      ['createdAt', [100, 200, 300, 400, 500]],
    ] as const) {
      const found: number[] = [];
      for (let cursor: string | null = ''; cursor !== null; ) {
        const query = `?limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`;
        const page = await read(await atlas.call('POST', `/v1/transfers/search${query}`, { json: { sort } }));
        found.push(...page.transfers.map(({ amount }) => amount));
        cursor = page.nextCursor;
      }
      expect(found).toEqual([...expected]);
    }
  });

  test('says up to when it is complete: transfers that are not in the index yet are later', async () => {
    const before = Date.now();
    const late = await pay(alice, { amount: 77, reference: 'late' });
    const { transfers, asOf } = await search({ field: 'reference', eq: 'late' });
    expect(transfers).toEqual([]);
    expect(Date.parse(asOf)).toBeLessThanOrEqual(Date.parse(late.createdAt));
    await indexAll(atlas);
    const after = await search({ field: 'reference', eq: 'late' });
    expect(after.transfers.map(({ id }) => id)).toEqual([late.id]);
    expect(Date.parse(after.asOf)).toBeGreaterThanOrEqual(before);
  });
});

describe('the list of transfers', () => {
  const list = async (query: string) =>
    (await read(await atlas.call('GET', `/v1/transfers?${query}`))).transfers;

  test('filters, and sorts', async () => {
    const found = async (query: string) => (await list(query)).map(({ amount }) => amount);
    expect(await found(`metadata[order]=1&amount[gte]=200`)).toEqual([300]);
    expect(await found(`reference=Invoice+5`)).toEqual([500]);
    expect(await found(`creditAccountId=${alice.id}&sort=createdAt&limit=2`)).toEqual([100, 200]);
    expect(await found(`ledger=USD`)).toEqual([]);
  });

  test('says what can be used if something else is', async () => {
    for (const query of [
      'colour=red',
      'amount[like]=1',
      'createdAt=2026-01-31T12:00:00Z',
      'metadata=x',
      'sort=amount',
    ]) {
      const response = await atlas.call('GET', `/v1/transfers?${query}`);
      const problem = (await response.json()) as { errors: { pointer: string; detail: string }[] };
      expect(response.status).toBe(400);
      expect(problem.errors[0]!.detail).toMatch(
        /amount\[gte\].*metadata\[KEY\]|one of -createdAt, createdAt/,
      );
    }
  });

  test('refuses a filter that is repeated', async () => {
    for (const query of ['metadata[a]=1&metadata[a]=2', 'ledger=EUR&ledger=USD']) {
      const response = await atlas.call('GET', `/v1/transfers?${query}`);
      expect([response.status, await response.text()]).toEqual([400, expect.stringContaining('is repeated')]);
    }
  });
});

describe('a search of accounts', () => {
  test('finds by what they are, and by their balance now', async () => {
    expect(await names('/v1/accounts?metadata[city]=K%C3%B6ln')).toEqual(['Alice', 'Bob']);
    expect(await names('/v1/accounts?kind=liability&metadata[vip]=yes')).toEqual(['Alice']);
    expect(await names('/v1/accounts?sort=-createdAt')).toEqual(['Bob', 'Alice', 'Bank']);
    expect(await names('/v1/accounts?name=Bank')).toEqual(['Bank']);
    const filter = { and: [{ field: 'balance', gte: 500 }, { not: { field: 'name', eq: 'Alice' } }] };
    expect(await names('/v1/accounts/search', { filter })).toEqual(['Bob']);
    await pay(bob, { amount: 1 }, bob, atlas).catch(() => {});
  });

  test('finds an account at once, and no longer by what it was before', async () => {
    const carol = await openAccount(atlas, { name: 'Carol', metadata: { city: 'Bonn' } });
    expect(await names('/v1/accounts?metadata[city]=Bonn')).toEqual(['Carol']);
    await atlas.sql`UPDATE accounts SET metadata = '{"city":"Trier"}' WHERE id = ${carol.id}`;
    expect(await names('/v1/accounts?metadata[city]=Bonn')).toEqual([]);
    expect(await names('/v1/accounts?metadata[city]=Trier')).toEqual(['Carol']);
    const [{ count }] = await atlas.sql<[{ count: number }]>`
      SELECT count(*) FROM account_terms WHERE id = ${carol.id}`;
    expect(count).toBe(4);
  });
});

test('the index keeps what a batch has posted, however often a step is repeated', async () => {
  const transfers = [1, 2, 3].map((amount) => ({
    debitAccountId: bank.id,
    creditAccountId: bob.id,
    amount,
    metadata: { set: 'twice' },
  }));
  expect((await postBatch(atlas, { transfers })).status).toBe(200);
  await indexAll(atlas);
  const filter = { field: 'metadata.set', eq: 'twice' };
  const found = await search(filter);
  await atlas.sql`UPDATE search_progress SET position = 0`;
  await indexAll(atlas);
  expect(await search(filter)).toEqual({ ...found, asOf: expect.any(String) as never });
});
