import { afterAll, beforeAll, expect, test } from 'bun:test';
import { type AccountResource, openAccount } from '../../support/ledger-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { expectProblem } from '../problem-assertions.ts';

let atlas: TestApp;
beforeAll(async () => {
  atlas = await startTestApp();
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

interface Page {
  readonly accounts: readonly AccountResource[];
  readonly nextCursor: string | null;
}
const readPage = async (path: string) => {
  const response = await atlas.call('GET', path);
  expect(response.status).toBe(200);
  return { link: response.headers.get('link'), page: (await response.json()) as Page };
};

test('a new account has a balance of zero and the requested properties', async () => {
  const content = {
    ledger: 'EUR',
    name: 'Zoë "the" \\ Baker 🏦',
    kind: 'liability',
    allowNegative: false,
    metadata: { b: '1', a: '"quoted"' },
  };
  const response = await atlas.call('POST', '/v1/accounts', { json: content });
  expect(response.status).toBe(201);
  const account = (await response.json()) as AccountResource;
  expect(account).toMatchObject({
    ...content,
    debitsPosted: 0,
    creditsPosted: 0,
    balance: 0,
    version: 0,
    createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
  });
  expect(response.headers.get('location')).toBe(`/v1/accounts/${account.id}`);
  const read = await atlas.call('GET', `/v1/accounts/${account.id}`);
  expect(await read.json()).toEqual(account);
});

test('an account without an ID gets one that sorts by time', async () => {
  const { id } = await openAccount(atlas);
  expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

test('the same ID with the same content returns the existing account', async () => {
  const content = { id: crypto.randomUUID(), ledger: 'EUR', metadata: { a: '1', b: '2' } };
  const first = await atlas.call('POST', '/v1/accounts', { json: content });
  const again = await atlas.call('POST', '/v1/accounts', {
    json: { ...content, metadata: { b: '2', a: '1' }, allowNegative: false },
  });
  expect([first.status, again.status]).toEqual([201, 200]);
  expect(await again.json()).toEqual(await first.json());
});

test('an ID in uppercase names the same account', async () => {
  const id = crypto.randomUUID();
  await openAccount(atlas, { id });
  const read = await atlas.call('GET', `/v1/accounts/${id.toUpperCase()}`);
  expect(await read.json()).toMatchObject({ id });
});

test.each([
  ['ledger', { ledger: 'USD' }],
  ['name', { name: 'Other' }],
  ['kind', { kind: 'asset' }],
  ['allowNegative', { allowNegative: false }],
  ['metadata', { metadata: { a: '1' } }],
])('an ID that exists with a different %s is rejected', async (_what, change) => {
  const { id } = await openAccount(atlas);
  const json = { id, ledger: 'EUR', allowNegative: true, ...change };
  await expectProblem(atlas, await atlas.call('POST', '/v1/accounts', { json }), 409, 'account_id_taken');
  const read = await atlas.call('GET', `/v1/accounts/${id}`);
  expect(await read.json()).toMatchObject({ ledger: 'EUR', name: null, kind: null, metadata: {} });
});

test('an unknown account is a 404, and a malformed ID a 400', async () => {
  const path = `/v1/accounts/${crypto.randomUUID()}`;
  await expectProblem(atlas, await atlas.call('GET', path), 404, 'account_not_found');
  await expectProblem(atlas, await atlas.call('GET', `${path}/transfers`), 404, 'account_not_found');
  await expectProblem(atlas, await atlas.call('GET', '/v1/accounts/one'), 400, 'invalid_request', [
    '/path/id',
  ]);
});

test('paging returns every account exactly once, oldest first', async () => {
  // Opened concurrently, so that several share a timestamp and only the ID orders them.
  const opened = await Promise.all(Array.from({ length: 23 }, () => openAccount(atlas)));
  const seen: string[] = [];
  let path: string | null = '/v1/accounts?limit=7';
  while (path !== null) {
    const { link, page }: Awaited<ReturnType<typeof readPage>> = await readPage(path);
    expect(page.accounts.length).toBeLessThanOrEqual(7);
    seen.push(...page.accounts.map(({ id }) => id));
    path = link === null ? null : /^<(\/v1\/accounts\?[^>]+)>; rel="next"$/.exec(link)![1]!;
    expect(page.nextCursor === null).toBe(path === null);
    if (path !== null) {
      const next = new URL(path, 'http://atlas.test').searchParams;
      expect(Object.fromEntries(next)).toEqual({ limit: '7', cursor: page.nextCursor! });
    }
  }
  const [everything] = await atlas.sql`SELECT array_agg(id ORDER BY created_at, id) AS ids FROM accounts`;
  expect(seen).toEqual(everything!.ids);
  expect(seen).toEqual(expect.arrayContaining(opened.map(({ id }) => id)));
});

test('accounts that were opened in the same microsecond are neither skipped nor repeated', async () => {
  const ids = Array.from({ length: 5 }, () => crypto.randomUUID()).sort();
  await atlas.sql`
    INSERT INTO accounts (id, owner, ledger, allow_negative, metadata, created_at)
    SELECT id, 'owner', 'EUR', true, '{}', '2000-01-01T00:00:00.123456Z' FROM unnest(${ids}::uuid[]) id`;
  const first = await readPage('/v1/accounts?limit=2');
  const second = await readPage(`/v1/accounts?limit=2&cursor=${first.page.nextCursor}`);
  expect([...first.page.accounts, ...second.page.accounts].map(({ id }) => id)).toEqual(ids.slice(0, 4));
});

test('a page has 50 accounts by default, and 200 at most', async () => {
  await atlas.sql`
    INSERT INTO accounts (id, owner, ledger, allow_negative, metadata)
    SELECT gen_random_uuid(), 'owner', 'EUR', true, '{}' FROM generate_series(1, 210)`;
  expect((await readPage('/v1/accounts')).page.accounts).toHaveLength(50);
  expect((await readPage('/v1/accounts?limit=200')).page.accounts).toHaveLength(200);
});
