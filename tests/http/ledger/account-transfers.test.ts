import { afterAll, beforeAll, expect, test } from 'bun:test';
import {
  type AccountResource,
  openAccount,
  postBatch,
  postTransfer,
  type TransferResource,
} from '../../support/ledger-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';

let atlas: TestApp;
let bank: AccountResource;
beforeAll(async () => {
  atlas = await startTestApp();
  bank = await openAccount(atlas);
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

const readPage = async (path: string) => {
  const response = await atlas.call('GET', path);
  expect(response.status).toBe(200);
  const page = (await response.json()) as { transfers: TransferResource[]; nextCursor: string | null };
  const link = response.headers.get('link');
  const next = link === null ? null : /^<([^>]+)>; rel="next"$/.exec(link)![1]!;
  expect(next === null).toBe(page.nextCursor === null);
  return { ids: page.transfers.map(({ id }) => id), next };
};

/** Posts transfers back and forth between the bank and the account, and returns their IDs, oldest first. */
const post = async (account: AccountResource, count: number) => {
  const transfers = Array.from({ length: count }, (_, i) => ({
    debitAccountId: i % 3 === 0 ? account.id : bank.id,
    creditAccountId: i % 3 === 0 ? bank.id : account.id,
    amount: i + 1,
  }));
  const { results } = (await (await postBatch(atlas, { transfers })).json()) as { results: { id: string }[] };
  return results.map(({ id }) => id);
};

test('an account lists its debits and credits, newest first', async () => {
  const account = await openAccount(atlas);
  const ids = await post(account, 7);
  const others = await openAccount(atlas);
  await postTransfer(atlas, { debitAccountId: bank.id, creditAccountId: others.id, amount: 1 });
  const { ids: listed, next } = await readPage(`/v1/accounts/${account.id}/transfers`);
  expect(listed).toEqual(ids.toReversed());
  expect(next).toBeNull();
});

test('an account without transfers lists none', async () => {
  const account = await openAccount(atlas);
  expect(await readPage(`/v1/accounts/${account.id}/transfers`)).toEqual({ ids: [], next: null });
});

test('a last page that is exactly full has no next page', async () => {
  const account = await openAccount(atlas);
  const ids = await post(account, 4);
  const { ids: listed, next } = await readPage(`/v1/accounts/${account.id}/transfers?limit=4`);
  expect(listed).toEqual(ids.toReversed());
  expect(next).toBeNull();
});

test('while new transfers arrive, paging returns every older one exactly once and no new one', async () => {
  const account = await openAccount(atlas);
  const before = await post(account, 25);
  const seen: string[] = [];
  let path: string | null = `/v1/accounts/${account.id}/transfers?limit=4`;
  while (path !== null) {
    const page: Awaited<ReturnType<typeof readPage>> = await readPage(path);
    seen.push(...page.ids);
    await post(account, 3);
    path = page.next;
  }
  expect(seen).toEqual(before.toReversed());
});
