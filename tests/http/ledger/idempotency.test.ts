import { afterAll, beforeAll, expect, test } from 'bun:test';
import {
  type AccountResource,
  newKey,
  openAccount,
  postBatch,
  postTransfer,
  readAccount,
} from '../../support/ledger-steps.ts';
import { lockTable } from '../../support/table-lock.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { expectProblem } from '../problem-assertions.ts';

let atlas: TestApp;
let bank: AccountResource;
beforeAll(async () => {
  atlas = await startTestApp();
  bank = await openAccount(atlas);
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

const REPLAYED = 'idempotency-replayed';
const payTo = (to: AccountResource, amount = 5) => ({
  debitAccountId: bank.id,
  creditAccountId: to.id,
  amount,
});

test('a repeated transfer gets the first response again, and moves money once', async () => {
  const [account, key] = [await openAccount(atlas), newKey()];
  const order = { ...payTo(account), reference: 'a', metadata: { zz: '1', b: '2', '7': '3' } };
  const first = await postTransfer(atlas, order, key);
  const second = await postTransfer(atlas, order, key);
  expect([first.status, second.status]).toEqual([201, 201]);
  expect(first.headers.has(REPLAYED)).toBe(false);
  expect(second.headers.get(REPLAYED)).toBe('true');
  expect(await second.text()).toBe(await first.text());
  expect(await readAccount(atlas, account.id)).toMatchObject({ balance: 5, version: 1 });
});

test('a repeated batch gets the first response again, refusals included', async () => {
  const [account, key] = [await openAccount(atlas), newKey()];
  const id = crypto.randomUUID();
  const body = {
    transfers: [{ ...payTo(account), id }, payTo(bank), { ...payTo(account), id }, payTo(account, 6)],
  };
  const first = await postBatch(atlas, body, key);
  const second = await postBatch(atlas, body, key);
  expect([first.status, second.status, second.headers.get(REPLAYED)]).toEqual([200, 200, 'true']);
  expect(await second.text()).toBe(await first.text());
  expect(await readAccount(atlas, account.id)).toMatchObject({ balance: 11, version: 2 });
});

test('the replay of a 200 is a 200', async () => {
  const [account, key] = [await openAccount(atlas), newKey()];
  const order = { ...payTo(account), id: crypto.randomUUID() };
  await postTransfer(atlas, order);
  const first = await postTransfer(atlas, order, key);
  const second = await postTransfer(atlas, order, key);
  expect([first.status, second.status, second.headers.get(REPLAYED)]).toEqual([200, 200, 'true']);
});

test('the same request serialized differently is the same request', async () => {
  const [account, key] = [await openAccount(atlas), newKey()];
  const first = await postTransfer(atlas, { ...payTo(account), metadata: { a: '1', b: '2' } }, key);
  const body = `{ "metadata": {"b":"2", "\\u0061":"1"}, "amount": 5.0,
    "creditAccountId": "${account.id.toUpperCase()}", "debitAccountId": "${bank.id}" }`;
  const headers = { 'Idempotency-Key': key, 'Content-Type': 'application/json' };
  const second = await atlas.call('POST', '/v1/transfers', { body, headers });
  expect(second.headers.get(REPLAYED)).toBe('true');
  expect(await second.text()).toBe(await first.text());
});

test('a business refusal is stored: the key returns it even when the reason is gone', async () => {
  const [poor, key] = [await openAccount(atlas, { allowNegative: false }), newKey()];
  const order = { debitAccountId: poor.id, creditAccountId: bank.id, amount: 5 };
  const first = await postTransfer(atlas, order, key);
  expect(first.headers.has(REPLAYED)).toBe(false);
  await expectProblem(atlas, first, 422, 'insufficient_funds');
  expect((await postTransfer(atlas, payTo(poor))).status).toBe(201);
  const second = await postTransfer(atlas, order, key);
  expect(second.headers.get(REPLAYED)).toBe('true');
  await expectProblem(atlas, second, 422, 'insufficient_funds');
  expect(await readAccount(atlas, poor.id)).toMatchObject({ balance: 5 });
  expect((await postTransfer(atlas, order)).status).toBe(201);
});

test('a request that failed validation does not use the key', async () => {
  const [account, key] = [await openAccount(atlas), newKey()];
  expect((await postTransfer(atlas, payTo(account, 0), key)).status).toBe(400);
  expect((await postTransfer(atlas, payTo(account), key, { Authorization: 'Bearer none' })).status).toBe(401);
  const reader = `Bearer ${await atlas.key(['transfers:read'])}`;
  expect((await postTransfer(atlas, payTo(account), key, { Authorization: reader })).status).toBe(403);
  const valid = await postTransfer(atlas, payTo(account), key);
  expect([valid.status, valid.headers.has(REPLAYED)]).toEqual([201, false]);
});

test.each([
  [
    'unexpectedly',
    'RENAME COLUMN posted_at TO elsewhere',
    'RENAME COLUMN elsewhere TO posted_at',
    500,
    'internal',
  ],
  ['for lack of a table', 'RENAME TO elsewhere', 'RENAME TO outbox', 503, 'dependency_unavailable'],
] as const)(
  'a request that failed inside Atlas %s does not use the key, and has no effect',
  async (_, breakIt, fixIt, status, code) => {
    const [account, key] = [await openAccount(atlas), newKey()];
    await atlas.sql.unsafe(`ALTER TABLE outbox ${breakIt}`);
    await expectProblem(atlas, await postTransfer(atlas, payTo(account), key), status, code);
    const table = fixIt === 'RENAME TO outbox' ? 'elsewhere' : 'outbox';
    await atlas.sql.unsafe(`ALTER TABLE ${table} ${fixIt}`);
    expect(await readAccount(atlas, account.id)).toMatchObject({ balance: 0, version: 0 });
    const again = await postTransfer(atlas, payTo(account), key);
    expect([again.status, again.headers.has(REPLAYED)]).toEqual([201, false]);
  },
);

test('a key that was used for a different body or path is rejected', async () => {
  const [account, key] = [await openAccount(atlas), newKey()];
  expect((await postTransfer(atlas, payTo(account), key)).status).toBe(201);
  const other = await postTransfer(atlas, payTo(account, 6), key);
  expect(other.headers.has(REPLAYED)).toBe(false);
  await expectProblem(atlas, other, 422, 'idempotency_key_reused');
  const batch = await postBatch(atlas, { transfers: [payTo(account)] }, key);
  await expectProblem(atlas, batch, 422, 'idempotency_key_reused');
  const atomicKey = newKey();
  await postBatch(atlas, { transfers: [payTo(account)] }, atomicKey);
  const atomic = await postBatch(atlas, { transfers: [payTo(account)], atomic: true }, atomicKey);
  await expectProblem(atlas, atomic, 422, 'idempotency_key_reused');
  expect(await readAccount(atlas, account.id)).toMatchObject({ balance: 10, version: 2 });
});

test('keys belong to the owner: another API key of the owner replays, another owner is independent', async () => {
  // Of each organization, one account that pays to the shared one.
  const [account, key] = [await openAccount(atlas, { acceptsFrom: ['*'] }), newKey()];
  const payers = { acme: '', umbrella: '' };
  for (const owner of ['acme', 'umbrella'] as const)
    payers[owner] = (await openAccount(await atlas.as(owner))).id;
  const as = async (owner: 'acme' | 'umbrella') => {
    const order = { ...payTo(account), debitAccountId: payers[owner] };
    const response = await postTransfer(await atlas.as(owner), order, key);
    return { replayed: response.headers.get(REPLAYED), ...((await response.json()) as { id: string }) };
  };
  const [first, sameOwner, other] = [await as('acme'), await as('acme'), await as('umbrella')];
  expect(first.replayed).toBeNull();
  expect(sameOwner).toEqual({ ...first, replayed: 'true' });
  expect(other.replayed).toBeNull();
  expect(other.id).not.toBe(first.id);
  expect(await readAccount(atlas, account.id)).toMatchObject({ balance: 10, version: 2 });
});

test.each([
  ['missing', null],
  ['empty', ''],
  ['of 256 characters', 'k'.repeat(256)],
  ['of characters outside ASCII', 'clé'],
  ['of words with a space', 'order 4711'],
  ['with a tab', 'order\t4711'],
])('a key that is %s is refused', async (_what, key) => {
  const account = await openAccount(atlas);
  for (const [path, json] of [
    ['/v1/transfers', payTo(account)],
    ['/v1/transfers/batch', { transfers: [payTo(account)] }],
  ] as const) {
    const headers: Record<string, string> = key === null ? {} : { 'Idempotency-Key': key };
    const response = await atlas.call('POST', path, { json, headers });
    await expectProblem(atlas, response, 400, 'invalid_request', ['/headers/Idempotency-Key']);
  }
  expect(await readAccount(atlas, account.id)).toMatchObject({ version: 0 });
});

test.each([['k'.repeat(255)], ['"quoted\\"'], ['{NULL,}']])(
  'the key %p is accepted and replayed',
  async (key) => {
    const account = await openAccount(atlas);
    const statuses = [
      await postTransfer(atlas, payTo(account), key),
      await postTransfer(atlas, payTo(account), key),
    ];
    expect(statuses.map(({ status, headers }) => [status, headers.get(REPLAYED)])).toEqual([
      [201, null],
      [201, 'true'],
    ]);
  },
);

test('while the first request with a key runs, a second gets Retry-After, and money moves once', async () => {
  const [account, key] = [await openAccount(atlas), newKey()];
  const lock = await lockTable(atlas.deps.databaseUrl, 'accounts');
  const first = postTransfer(atlas, payTo(account), key);
  await lock.waiters(1);
  const second = await postTransfer(atlas, payTo(account), key);
  expect(second.headers.get('retry-after')).toMatch(/^\d+$/);
  await expectProblem(atlas, second, 409, 'idempotency_key_in_progress');
  await lock.release();
  expect((await first).status).toBe(201);
  expect((await postTransfer(atlas, payTo(account), key)).headers.get(REPLAYED)).toBe('true');
  expect(await readAccount(atlas, account.id)).toMatchObject({ balance: 5, version: 1 });
});

test('a second worker with the same key waits for the first, and replays its result', async () => {
  const other = await startTestApp({ DATABASE_URL: atlas.deps.databaseUrl });
  const [account, key] = [await openAccount(atlas), newKey()];
  const lock = await lockTable(atlas.deps.databaseUrl, 'accounts');
  const first = postTransfer(atlas, payTo(account), key);
  await lock.waiters(1);
  const second = postTransfer(other, payTo(account), key);
  await lock.waiters(2);
  await lock.release();
  const responses = [await first, await second];
  expect(responses.map(({ status }) => status)).toEqual([201, 201]);
  expect(responses.map(({ headers }) => headers.get(REPLAYED))).toEqual([null, 'true']);
  expect(await responses[1]!.text()).toBe(await responses[0]!.text());
  expect(await readAccount(atlas, account.id)).toMatchObject({ balance: 5, version: 1 });
  await other.close();
});

test('after 30 days a key is deleted, and its request still posts nothing twice', async () => {
  const [account, key] = [await openAccount(atlas), newKey()];
  const recent = newKey();
  await postTransfer(atlas, payTo(account), key);
  await postTransfer(atlas, payTo(account), recent);
  await atlas.sql`UPDATE idempotency_keys SET created_at = now() - interval '31 days' WHERE key = ${key}`;
  await atlas.jobs.find(({ name }) => name === 'delete expired idempotency keys')!.run();
  const late = await postTransfer(atlas, payTo(account), key);
  expect([late.status, late.headers.has(REPLAYED)]).toEqual([200, false]);
  expect((await postTransfer(atlas, payTo(account), recent)).headers.get(REPLAYED)).toBe('true');
  expect(await readAccount(atlas, account.id)).toMatchObject({ balance: 10, version: 2 });
});
