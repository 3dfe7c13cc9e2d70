import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { type AccountResource, openAccount, postTransfer, readAccount } from '../../support/ledger-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';

const CHANGES = 8;
const PAYMENTS = 40;

let atlas: TestApp;
let bank: AccountResource;
beforeAll(async () => {
  atlas = await startTestApp();
  bank = await openAccount(atlas);
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

const change = ({ id }: AccountResource, json: unknown, ifMatch: string | null) =>
  atlas.call('PATCH', `/v1/accounts/${id}`, {
    json: json as object,
    headers: ifMatch === null ? {} : { 'If-Match': ifMatch },
  });
const acceptsOf = async ({ id }: AccountResource) => {
  const response = await atlas.call('GET', `/v1/accounts/${id}`);
  const { acceptsFrom } = (await response.json()) as { acceptsFrom: string[] | null };
  return [response.headers.get('etag'), acceptsFrom];
};

describe('of an account, the change', () => {
  test('by one of several callers with the same ETag takes effect, while it is paid', async () => {
    const account = await openAccount(atlas);
    const order = { debitAccountId: bank.id, creditAccountId: account.id, amount: 1 };
    const [changed, paid] = await Promise.all([
      Promise.all(
        Array.from({ length: CHANGES }, (_, i) => change(account, { acceptsFrom: [`org-${i}`] }, '"1"')),
      ),
      Promise.all(Array.from({ length: PAYMENTS }, () => postTransfer(atlas, order))),
    ]);
    const statuses = changed.map(({ status }) => status).sort();
    expect(statuses).toEqual([200, ...Array(CHANGES - 1).fill(412)]);
    const winner = changed.findIndex(({ status }) => status === 200);
    expect(changed[winner]!.headers.get('etag')).toBe('"2"');
    expect(await acceptsOf(account)).toEqual(['"2"', [`org-${winner}`]]);
    expect(new Set(paid.map(({ status }) => status))).toEqual(new Set([201]));
    expect(await readAccount(atlas, account.id)).toMatchObject({ balance: PAYMENTS, version: PAYMENTS });
  });

  test('by several callers with If-Match: * takes effect each time, and the audit log has what was before', async () => {
    const account = await openAccount(atlas, { acceptsFrom: ['first'] });
    const changed = await Promise.all(
      Array.from({ length: CHANGES }, (_, i) => change(account, { acceptsFrom: [`org-${i}`] }, '*')),
    );
    expect(new Set(changed.map(({ status }) => status))).toEqual(new Set([200]));
    const entries = await atlas.sql`
      SELECT before, after FROM audit_entries WHERE target_id = ${account.id} AND action = 'account.updated'`;
    expect(entries).toHaveLength(CHANGES);
    // Each follows another one: no change was made to what a concurrent one had replaced.
    const nameOf = ({ acceptsFrom }: { acceptsFrom: string[] }) => acceptsFrom[0]!;
    const next = new Map(entries.map(({ before, after }) => [nameOf(before), nameOf(after)]));
    const chain: string[] = [];
    for (let at: string | undefined = 'first'; at !== undefined; at = next.get(at)) chain.push(at);
    expect(chain).toHaveLength(CHANGES + 1);
    expect(await acceptsOf(account)).toEqual([`"${CHANGES + 1}"`, [chain.at(-1)!]]);
  });

  test.each([
    ['another revision', '"2"', 412],
    ['a weak ETag', 'W/"1"', 412],
    ['no ETag', '1', 412],
    ['a number that no revision has', '"999999999999999999999"', 412],
    ['nothing', null, 428],
  ])('for %s is refused', async (_, ifMatch, status) => {
    const account = await openAccount(atlas);
    expect((await change(account, { acceptsFrom: ['*'] }, ifMatch)).status).toBe(status);
    expect(await acceptsOf(account)).toEqual(['"1"', null]);
  });

  test.each([
    ['of nothing', {}],
    ['of what never changes', { acceptsFrom: null, ledger: 'USD' }],
    ['to an empty list', { acceptsFrom: [] }],
    ['to an organization without a name', { acceptsFrom: [''] }],
    ['to a text', { acceptsFrom: '*' }],
    ['to null in a list', { acceptsFrom: [null] }],
    ['to a NUL', { acceptsFrom: ['a\0'] }],
    ['to too long an ID', { acceptsFrom: ['a'.repeat(1001)] }],
    ['to too long IDs', { acceptsFrom: Array.from({ length: 21 }, (_, i) => `${i}`.padStart(953, 'a')) }],
    ['to too many', { acceptsFrom: Array.from({ length: 101 }, (_, i) => `org-${i}`) }],
  ])('%s is refused', async (_, json) => {
    const account = await openAccount(atlas);
    expect((await change(account, json, '*')).status).toBe(400);
    expect(await acceptsOf(account)).toEqual(['"1"', null]);
  });

  test('to an organization whose ID is as long as any in a path lets it pay', async () => {
    const owner = 'long'.repeat(250);
    const payer = await atlas.as(owner);
    const account = await openAccount(atlas);
    expect((await change(account, { acceptsFrom: [owner] }, '*')).status).toBe(200);
    const from = await openAccount(payer, { allowNegative: true });
    const json = { debitAccountId: from.id, creditAccountId: account.id, amount: 1 };
    const headers = { 'Idempotency-Key': 'long' };
    expect((await payer.call('POST', '/v1/transfers', { json, headers })).status).toBe(201);
  });
});

test('however many changes of accounts an organization sends at once, payments wait for one of them', async () => {
  const accounts = await Promise.all([openAccount(atlas), openAccount(atlas)]);
  let changed: Promise<Response[]> | undefined;
  await atlas.sql.begin(async (tx) => {
    await tx`SELECT FROM accounts WHERE id = ANY (${accounts.map(({ id }) => id)}) FOR UPDATE`;
    changed = Promise.all(
      Array.from({ length: 12 }, (_, i) => change(accounts[i % 2]!, { acceptsFrom: [`org-${i}`] }, '*')),
    );
    const waiting = () => atlas.sql`
      SELECT FROM pg_stat_activity
      WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%accepts_from%'`;
    await until(async () => (await waiting()).length > 0);
    // What was sent before this has reached the database.
    for (let i = 0; i < 10; i++) expect((await readAccount(atlas, bank.id)).id).toBe(bank.id);
    expect(await waiting()).toHaveLength(1);
  });
  expect((await changed!).map(({ status }) => status)).toEqual(Array(12).fill(200));
});
