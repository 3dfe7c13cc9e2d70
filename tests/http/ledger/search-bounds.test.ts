import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { createSearchRepository, SEARCH_BOUNDS } from '../../../src/features/ledger/search/repository.ts';
import { type AccountResource, openAccount, postBatch } from '../../support/ledger-steps.ts';
import { indexAll } from '../../support/search-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';

let atlas: TestApp;
let bank: AccountResource;
let shop: AccountResource;

beforeAll(async () => {
  atlas = await startTestApp();
  bank = await openAccount(atlas);
  shop = await openAccount(atlas);
  await post(
    Array.from({ length: 60 }, (_, i) => ({ amount: i + 1, metadata: { n: String(i), all: 'yes' } })),
  );
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

async function post(orders: readonly object[]): Promise<void> {
  const accounts = { debitAccountId: bank.id, creditAccountId: shop.id };
  const response = await postBatch(atlas, { transfers: orders.map((order) => ({ ...accounts, ...order })) });
  expect(response.status).toBe(200);
  await indexAll(atlas);
}

const send = (filter: unknown, query = '') =>
  atlas.call('POST', `/v1/transfers/search${query}`, { json: { filter } });

/** Sends a filter that must be refused, and returns what is wrong with it, by pointer. */
async function refusalOf(filter: unknown): Promise<Record<string, string>> {
  const response = await send(filter);
  const problem = (await response.json()) as { errors: { pointer: string; detail: string }[] };
  expect([response.status, problem]).toEqual([400, expect.objectContaining({ errors: expect.anything() })]);
  return Object.fromEntries(problem.errors.map(({ pointer, detail }) => [pointer, detail]));
}

const leaf = { field: 'amount', eq: 1 };
/** Wraps a comparison so often. */
const nested = (levels: number): unknown => (levels === 0 ? leaf : { not: nested(levels - 1) });

describe('a filter is refused', () => {
  test.each<[string, unknown, string, string]>([
    ['deeper than five levels', nested(5), '/filter/not/not/not/not/not', 'must be at most 5 levels deep'],
    [
      'deep as a hostile client makes it',
      nested(30),
      '/filter/not/not/not/not/not',
      'must be at most 5 levels deep',
    ],
    [
      'of too many comparisons',
      { and: [{ or: Array(20).fill(leaf) }, { or: Array(20).fill(leaf) }] },
      '/filter/and/1/or/12',
      'is one too many: a filter has at most 32 comparisons',
    ],
    ['of a long list of filters', { or: Array(1000).fill(leaf) }, '/filter/or', 'must have at most 32 items'],
    [
      'of too many values in all lists',
      {
        and: [
          { field: 'amount', in: Array(60).fill(1) },
          { field: 'reference', in: Array(60).fill('a') },
        ],
      },
      '/filter/and/1/in',
      'is too long: the lists of a filter have at most 100 values in all',
    ],
    ['with an empty list', { field: 'amount', in: [] }, '/filter/in', 'must not be empty'],
    ['with an empty conjunction', { and: [] }, '/filter/and', 'must not be empty'],
    ['of no shape', {}, '/filter', 'must have exactly one of and, or, not, field, contains'],
    [
      'of two shapes',
      { and: [leaf], or: [leaf] },
      '/filter',
      'must have exactly one of and, or, not, field, contains',
    ],
    ['with an unknown member', { not: leaf, nor: leaf }, '/filter/nor', 'is unknown'],
    [
      'of an unknown field',
      { field: 'owner', eq: 'acme' },
      '/filter/field',
      'must be one of amount, ledger, reference, debitAccountId, creditAccountId, accountId, createdAt, metadata.KEY',
    ],
    [
      'of a field of all objects',
      { field: 'constructor', eq: 'x' },
      '/filter/field',
      'must be one of amount, ledger, reference, debitAccountId, creditAccountId, accountId, createdAt, metadata.KEY',
    ],
    [
      'of metadata without a key',
      { field: 'metadata.', eq: 'x' },
      '/filter/field',
      'must be one of amount, ledger, reference, debitAccountId, creditAccountId, accountId, createdAt, metadata.KEY',
    ],
    [
      'without an operator',
      { field: 'amount' },
      '/filter',
      'must have at least one of eq, in, gte, gt, lte, lt',
    ],
    [
      'with an operator of another type',
      { field: 'accountId', gte: shopId() },
      '/filter/gte',
      'is not for accountId; use eq, in',
    ],
    [
      'with an operator that is none',
      { field: 'reference', like: '%' },
      '/filter/like',
      'is not for reference; use eq, in, gte, gt, lte, lt, startsWith',
    ],
    [
      'with a number out of range',
      { field: 'amount', gte: 1e300 },
      '/filter/gte',
      'must be between −(2^53−1) and 2^53−1',
    ],
    [
      'with a fraction',
      { field: 'amount', gte: 0.5 },
      '/filter/gte',
      'must be a whole number of minor units, at most 9007199254740991',
    ],
    [
      'with a number as text',
      { field: 'amount', gte: '5' },
      '/filter/gte',
      'must be a whole number of minor units, at most 9007199254740991',
    ],
    ['with a text as number', { field: 'reference', eq: 5 }, '/filter/eq', 'must be a string'],
    [
      'with an ID that is none',
      { field: 'accountId', eq: "'; DROP TABLE x" },
      '/filter/eq',
      'must be a UUID',
    ],
    [
      'with a time that is none',
      { field: 'createdAt', lt: 'yesterday' },
      '/filter/lt',
      'must be a time such as 2026-01-31T12:00:00Z',
    ],
    [
      'with a value that is too long',
      { field: 'reference', eq: 'a'.repeat(501) },
      '/filter/eq',
      'must have at most 500 characters',
    ],
    [
      'with a key that is too long',
      { field: `metadata.${'a'.repeat(41)}`, eq: 'a' },
      '/filter/field',
      'must name a key of at most 40 characters',
    ],
    [
      'that contains something else',
      { contains: { amount: 5 } },
      '/filter/contains/amount',
      'is unknown; only metadata can contain values',
    ],
    [
      'that contains nothing',
      { contains: { metadata: {} } },
      '/filter/contains/metadata',
      'must not be empty',
    ],
  ])('%s', async (_, filter, pointer, detail) => {
    expect(await refusalOf(filter)).toEqual({ [pointer]: detail });
  });
});

function shopId(): string {
  return '0198c0de-0000-7000-8000-000000000001';
}

test('keys and values are compared as they are, whatever is in them', async () => {
  const strange = {
    "it's": "'; --",
    'a"b\\c': '"{}\\',
    'a.b': 'dot',
    '%_': '100%',
    $1: '$2',
    'käse 🧀': 'weiß 🧀',
    __proto__x: '{}',
    ' ': ' ',
  };
  await post([
    { amount: 5, metadata: strange },
    { amount: 6, metadata: { '%_': '100 percent', ab: 'dot' } },
  ]);
  for (const [key, value] of Object.entries(strange)) {
    for (const filter of [
      { field: `metadata.${key}`, eq: value },
      { field: `metadata.${key}`, in: [value] },
      { field: `metadata.${key}`, startsWith: value },
      { contains: { metadata: { [key]: value } } },
    ]) {
      const response = await send(filter);
      const { transfers } = (await response.json()) as { transfers: { metadata: object }[] };
      expect([key, transfers.map(({ metadata }) => metadata)]).toEqual([key, [strange]]);
    }
    const list = await atlas.call(
      'GET',
      `/v1/transfers?${new URLSearchParams({ [`metadata[${key}]`]: value })}`,
    );
    expect([key, ((await list.json()) as { transfers: object[] }).transfers.length]).toEqual([key, 1]);
  }
});

test('a list refuses what no text can hold, and what is out of range', async () => {
  for (const [query, detail] of [
    ['reference=a%00b', 'must not contain NUL'],
    ['metadata[a%00b]=c', 'must not contain NUL'],
    ['amount[gte]=99999999999999999999', 'must be a whole number of minor units, at most 9007199254740991'],
    ['amount[gte]=9007199254740992', 'must be a whole number of minor units, at most 9007199254740991'],
    ['amount[lt]=1e3', 'must be a whole number of minor units, at most 9007199254740991'],
    ['accountId=x', 'must be a UUID'],
    ['createdAt[lt]=2026-13-01T00:00:00Z', 'must be a time such as 2026-01-31T12:00:00Z'],
  ] as const) {
    const response = await atlas.call('GET', `/v1/transfers?${query}`);
    const problem = (await response.json()) as { errors: { detail: string }[] };
    expect([query, response.status, problem.errors[0]!.detail]).toEqual([query, 400, detail]);
  }
});

describe('a page', () => {
  test('ends after a bounded number of transfers, and the next one goes on there until all were compared', async () => {
    const search = createSearchRepository(atlas.deps.database, { ...SEARCH_BOUNDS, examinedMax: 7 });
    const filter = { field: 'amount', is: { eq: 1 } };
    const asked = { owner: 'owner', filter, order: 'newest first', limit: 5 } as const;
    const found: string[] = [];
    const examined: number[] = [];
    let after: Awaited<ReturnType<typeof search.transfers>>['next'] = null;
    do {
      const page = await search.transfers({ ...asked, after });
      found.push(...page.ids);
      examined.push(page.examined);
      after = page.next;
    } while (after !== null);
    const [{ count }] = await atlas.sql<[{ count: number }]>`SELECT count(*) FROM transfers`;
    expect(found).toHaveLength(1);
    expect(Math.max(...examined)).toBe(7);
    expect(examined.reduce((a, b) => a + b)).toBe(count);
  });

  test('reads fewer of each value the more values there are', async () => {
    const search = createSearchRepository(atlas.deps.database, { ...SEARCH_BOUNDS, entriesMax: 60 });
    const values = Array.from({ length: 10 }, (_, n) => String(n));
    const filter = { field: 'metadata.n', is: { in: values } };
    const asked = { owner: 'owner', filter, order: 'oldest first', limit: 2 } as const;
    const found: string[] = [];
    let after: Awaited<ReturnType<typeof search.transfers>>['next'] = null;
    do {
      const page = await search.transfers({ ...asked, after });
      found.push(...page.ids);
      expect(page.examined).toBeLessThanOrEqual(6);
      after = page.next;
    } while (after !== null);
    expect(new Set(found).size).toBe(10);
  });

  test('ends at about 1 MiB', async () => {
    const long = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`k${i}`, 'x'.repeat(500)]));
    const large = Array.from({ length: 45 }, () => ({ amount: 9, metadata: { ...long, size: 'large' } }));
    for (const orders of [large, large]) await post(orders);
    const response = await send({ field: 'metadata.size', eq: 'large' }, '?limit=200');
    const text = await response.text();
    expect(text.length).toBeLessThan(1_100_000);
    const page = JSON.parse(text) as { transfers: object[]; nextCursor: string };
    expect(page.transfers.length).toBeGreaterThan(60);
    const rest = await send({ field: 'metadata.size', eq: 'large' }, `?limit=200&cursor=${page.nextCursor}`);
    const more = (await rest.json()) as { transfers: object[]; nextCursor: null };
    expect([page.transfers.length + more.transfers.length, more.nextCursor]).toEqual([90, null]);
  });
});

test('a search that takes too long is refused with advice, and leaves the connection usable', async () => {
  const search = createSearchRepository(atlas.deps.database, { ...SEARCH_BOUNDS, timeoutMs: 1 });
  const values = Array.from({ length: 100 }, (_, n) => `none ${n}`);
  const asked = { owner: 'owner', order: 'newest first', after: null, limit: 200 } as const;
  const filter = { or: Array.from({ length: 30 }, () => ({ field: 'metadata.n', is: { in: values } })) };
  await atlas.sql.begin(async (tx) => {
    // Whoever has this lock holds the search up.
    await tx`LOCK TABLE transfer_terms IN ACCESS EXCLUSIVE MODE`;
    await expect(search.transfers({ ...asked, filter })).rejects.toMatchObject({ code: 'deadline_exceeded' });
  });
  const found = await createSearchRepository(atlas.deps.database).transfers({ ...asked, filter: null });
  expect(found.ids.length).toBeGreaterThan(0);
});
