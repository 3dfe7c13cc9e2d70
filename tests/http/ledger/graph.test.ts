import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { ALL_SCOPES } from '../../../src/features.ts';
import type { ApiCaller } from '../../support/api-caller.ts';
import { type AccountResource, openAccount, postTransfer } from '../../support/ledger-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { expectProblem } from '../problem-assertions.ts';

interface EdgeResource {
  readonly debitAccountId: string;
  readonly creditAccountId: string;
  readonly amount: number;
  readonly transfers: number;
}
interface NeighborsResource {
  readonly neighbors: { readonly accountId: string; readonly isOwn: boolean }[];
  readonly nextCursor: string | null;
  readonly truncated: boolean;
}

let atlas: TestApp;
let [acme, umbrella]: ApiCaller[] = [];
/** Three accounts of the first organization that pay each other in a ring, and one of the second that is paid. */
let [shop, supplier, agent, stranger]: AccountResource[] = [];

beforeAll(async () => {
  atlas = await startTestApp();
  [acme, umbrella] = [await atlas.as('acme'), await atlas.as('umbrella')];
  for (let i = 0; i < 3; i++)
    [shop, supplier, agent] = [supplier, agent, await openAccount(acme)] as AccountResource[];
  stranger = await openAccount(umbrella, { acceptsFrom: ['acme'] });
  await pay(acme, shop!, supplier!, 100);
  await pay(acme, shop!, supplier!, 20);
  await pay(acme, supplier!, agent!, 90);
  await pay(acme, agent!, shop!, 80);
  await pay(acme, agent!, stranger, 7);
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

async function pay(caller: ApiCaller, from: AccountResource, to: AccountResource, amount: number) {
  const { status } = await postTransfer(caller, { debitAccountId: from.id, creditAccountId: to.id, amount });
  expect(status).toBe(201);
}

async function read<T>(path: string, caller = acme!): Promise<T> {
  const response = await caller.call('GET', `/v1/graph/${path}`);
  expect([path, response.status]).toEqual([path, 200]);
  return (await response.json()) as T;
}

const amountsOf = (ways: { readonly edges: readonly EdgeResource[] }[]) =>
  ways.map(({ edges }) => edges.map(({ amount, transfers }) => [amount, transfers]));

test('a planted ring is found from each of its accounts, with the sum of each edge', async () => {
  for (const [account, amounts] of [
    [
      shop!,
      [
        [120, 2],
        [90, 1],
        [80, 1],
      ],
    ],
    [
      agent!,
      [
        [80, 1],
        [120, 2],
        [90, 1],
      ],
    ],
  ] as const) {
    const found = await read<{ cycles: { edges: EdgeResource[] }[]; truncated: boolean }>(
      `accounts/${account.id}/cycles`,
    );
    expect(amountsOf(found.cycles)).toEqual([amounts as never]);
    expect(found.truncated).toBe(false);
    const [{ edges }] = found.cycles as [{ edges: EdgeResource[] }];
    expect(edges[0]!.debitAccountId).toBe(account.id);
    expect(edges.at(-1)!.creditAccountId).toBe(account.id);
  }
  expect(await read(`accounts/${shop!.id}/cycles?maxDepth=2`)).toMatchObject({ cycles: [] });
  const later = new Date(Date.now() + 60_000).toISOString();
  expect(await read(`accounts/${shop!.id}/cycles?since=${later}`)).toMatchObject({ cycles: [] });
});

test('a path leads to an account of another organization, and none through or from it', async () => {
  const path = (from: string, to: string) => `paths?from=${from}&to=${to.toUpperCase()}`;
  const found = await read<{ paths: { edges: EdgeResource[] }[] }>(path(shop!.id, stranger!.id));
  expect(amountsOf(found.paths)).toEqual([
    [
      [120, 2],
      [90, 1],
      [7, 1],
    ],
  ]);
  expect(await read(path(shop!.id, crypto.randomUUID()))).toMatchObject({ paths: [], truncated: false });
  const [theirs, none] = [stranger!.id, crypto.randomUUID()];
  for (const from of [theirs, none]) {
    const refused = await acme!.call('GET', `/v1/graph/${path(from, shop!.id)}`);
    await expectProblem(atlas, refused, 404, 'account_not_found');
  }
});

test('each organization sees the transfers of its accounts, and the accounts at their other ends', async () => {
  const ours = await read<NeighborsResource>(`accounts/${agent!.id}/neighbors`);
  expect(ours.neighbors.map(({ accountId, isOwn }) => [accountId, isOwn])).toEqual([
    [supplier!.id, true],
    [shop!.id, true],
    [stranger!.id, false],
  ]);
  const theirs = await read<NeighborsResource>(`accounts/${stranger!.id}/neighbors`, umbrella!);
  expect(theirs.neighbors).toMatchObject([
    { accountId: agent!.id, isOwn: false, sent: null, received: { amount: 7, transfers: 1 } },
  ]);
  for (const rest of ['neighbors', 'cycles'])
    for (const id of [agent!.id, crypto.randomUUID()]) {
      const refused = await umbrella!.call('GET', `/v1/graph/accounts/${id}/${rest}`);
      await expectProblem(atlas, refused, 404, 'account_not_found');
    }
});

test('pages of neighbors are linked, in order of their sums, and hold each one once', async () => {
  const first = await acme!.call('GET', `/v1/graph/accounts/${agent!.id}/neighbors?limit=2`);
  const { neighbors, nextCursor } = (await first.json()) as NeighborsResource;
  expect(neighbors).toHaveLength(2);
  expect(first.headers.get('link')).toContain(`cursor=${nextCursor}`);
  const next = await read<NeighborsResource>(
    `accounts/${agent!.id}/neighbors?limit=2&cursor=${nextCursor!.toUpperCase()}`,
  );
  expect(next).toMatchObject({ neighbors: [{ accountId: stranger!.id }], nextCursor: null });
});

test('an account without transfers has no neighbors', async () => {
  const lonely = await openAccount(acme!);
  expect(await read(`accounts/${lonely.id}/neighbors`)).toEqual({
    neighbors: [],
    nextCursor: null,
    truncated: false,
    transfersRead: 0,
  });
});

test.each(['transfers:read', 'accounts:read'])('a key without %s is refused', async (scope) => {
  const token = await atlas.key(
    ALL_SCOPES.filter((other) => other !== scope),
    'acme',
  );
  for (const path of [`accounts/${shop!.id}/neighbors`, `accounts/${shop!.id}/cycles`, 'paths']) {
    const query = path === 'paths' ? `?from=${shop!.id}&to=${agent!.id}` : '';
    const refused = await atlas.call('GET', `/v1/graph/${path}${query}`, {
      headers: { Authorization: `Bearer ${token}` },
    });
    const { detail } = await expectProblem(atlas, refused, 403, 'forbidden');
    expect(detail).toBe(`This route requires the scope ${scope}.`);
  }
});

describe('is rejected:', () => {
  const own = () => shop!.id;
  test.each<[string, () => string, string]>([
    ['a depth of 0', () => `accounts/${own()}/cycles?maxDepth=0`, '/query/maxDepth'],
    ['a depth of 7', () => `paths?from=${own()}&to=${agent!.id}&maxDepth=7`, '/query/maxDepth'],
    ['a time that is none', () => `accounts/${own()}/neighbors?since=yesterday`, '/query/since'],
    [
      'a time before the year 1',
      () => `accounts/${own()}/neighbors?since=0000-01-01T00:00:00Z`,
      '/query/since',
    ],
    [
      'a time after 9999',
      () => `paths?from=${own()}&to=${agent!.id}&since=9999-12-31T23:59:59-14:00`,
      '/query/since',
    ],
    ['a cursor of another list', () => `accounts/${own()}/neighbors?cursor=v000000000001`, '/query/cursor'],
    ['a path that ends where it begins', () => `paths?from=${own()}&to=${own().toUpperCase()}`, '/query/to'],
    ['a path without an end', () => `paths?from=${own()}`, '/query/to'],
  ])('%s', async (_, path, pointer) => {
    const refused = await acme!.call('GET', `/v1/graph/${path()}`);
    await expectProblem(atlas, refused, 400, 'invalid_request', [pointer]);
  });
});

test('a search that takes too long is a 504 that says what to do, and ends on the server', async () => {
  await atlas.sql.begin(async (sql) => {
    // Reading waits for nothing but this.
    await sql`LOCK TABLE transfers IN ACCESS EXCLUSIVE MODE`;
    const response = await acme!.call('GET', `/v1/graph/accounts/${shop!.id}/cycles`);
    const { detail } = await expectProblem(atlas, response, 504, 'deadline_exceeded');
    expect(detail).toBe('The search took too long. Use a smaller maxDepth, or a later time for since.');
    const waiting = await sql`SELECT FROM pg_locks WHERE NOT granted AND database = (
      SELECT oid FROM pg_database WHERE datname = current_database())`;
    expect(waiting).toHaveLength(0);
  });
});
