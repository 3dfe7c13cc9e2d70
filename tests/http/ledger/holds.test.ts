import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import {
  type AccountResource,
  newKey,
  openAccount,
  openFundedAccount,
  postTransfer,
  readAccount,
} from '../../support/ledger-steps.ts';
import {
  type HoldResource,
  holdMoney,
  postHold,
  postKeyed,
  readHold,
  refusalOf,
} from '../../support/movement-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';
import { expectProblem } from '../problem-assertions.ts';

let atlas: TestApp;
let bank: AccountResource;
beforeAll(async () => {
  atlas = await startTestApp();
  bank = await openAccount(atlas);
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

/** A payer with 100, a payee, and a hold of 60 between them. */
async function arrange(content: object = {}) {
  const payer = await openFundedAccount(atlas, bank, 100);
  const payee = await openAccount(atlas, { allowNegative: false });
  const order = { debitAccountId: payer.id, creditAccountId: payee.id, amount: 60, ...content };
  return { payer: payer.id, payee: payee.id, order, hold: await holdMoney(atlas, order) };
}

async function sumsOf(id: string) {
  const { balance, available, debitsPending, creditsPending, version } = (await readAccount(
    atlas,
    id,
  )) as AccountResource & { available: number; debitsPending: number; creditsPending: number };
  return { balance, available, debitsPending, creditsPending, version };
}

const release = () => atlas.jobs.find(({ name }) => name === 'release expired holds')!.run();

describe('a hold', () => {
  test('reserves money of the payer, and is pending for the payee', async () => {
    const { payer, payee, order, hold } = await arrange({
      reference: 'Order 1',
      metadata: { b: '2', a: '1' },
    });
    expect(hold).toMatchObject({ ...order, ledger: 'EUR', state: 'pending', posted: 0, remaining: 60 });
    expect(Date.parse(hold.expiresAt) - Date.parse(hold.createdAt)).toBe(604_800_000);
    expect(await readHold(atlas, hold.id)).toEqual(hold);
    expect(await sumsOf(payer)).toEqual({
      balance: 100,
      available: 40,
      debitsPending: 60,
      creditsPending: 0,
      version: 1,
    });
    expect(await sumsOf(payee)).toMatchObject({ balance: 0, available: 0, creditsPending: 60, version: 0 });
    expect(await refusalOf(postTransfer(atlas, { ...order, amount: 41 }))).toBe('insufficient_funds');
    expect(await refusalOf(postKeyed(atlas, '/v1/holds', { ...order, amount: 41 }))).toBe(
      'insufficient_funds',
    );
    expect((await postTransfer(atlas, { ...order, amount: 40 })).status).toBe(201);
  });

  test('is posted in full: a transfer that names it', async () => {
    const { payer, payee, hold } = await arrange();
    const transfer = await postHold(atlas, hold.id, { reference: 'paid', metadata: { a: '1' } });
    expect(transfer).toMatchObject({
      debitAccountId: payer,
      creditAccountId: payee,
      amount: 60,
      holdId: hold.id,
      reversesId: null,
      reference: 'paid',
      metadata: { a: '1' },
    });
    expect(await (await atlas.call('GET', `/v1/transfers/${transfer.id}`)).json()).toEqual(transfer);
    expect(await readHold(atlas, hold.id)).toMatchObject({ state: 'posted', posted: 60, remaining: 0 });
    expect(await sumsOf(payer)).toMatchObject({ balance: 40, available: 40, debitsPending: 0 });
    expect(await sumsOf(payee)).toMatchObject({ balance: 60, creditsPending: 0 });
  });

  test('that is posted in part releases the rest', async () => {
    const { payer, hold } = await arrange();
    await postHold(atlas, hold.id, { amount: 20 });
    expect(await readHold(atlas, hold.id)).toMatchObject({ state: 'posted', posted: 20, remaining: 0 });
    expect(await sumsOf(payer)).toMatchObject({ balance: 80, available: 80, debitsPending: 0 });
    expect(await refusalOf(postKeyed(atlas, `/v1/holds/${hold.id}/post`, {}))).toBe('hold_settled');
  });

  test('is posted several times up to its amount while the rest is kept', async () => {
    const { payer, hold } = await arrange();
    await postHold(atlas, hold.id, { amount: 20, keepRest: true });
    expect(await readHold(atlas, hold.id)).toMatchObject({ state: 'pending', posted: 20, remaining: 40 });
    expect(await sumsOf(payer)).toMatchObject({ balance: 80, available: 40, debitsPending: 40 });
    const path = `/v1/holds/${hold.id}/post`;
    expect(await refusalOf(postKeyed(atlas, path, { amount: 41 }))).toBe('hold_amount_exceeded');
    await postHold(atlas, hold.id, { amount: 40, keepRest: true });
    expect(await readHold(atlas, hold.id)).toMatchObject({ state: 'posted', posted: 60, remaining: 0 });
  });

  test('is voided, also after a part was posted, and cannot be posted or voided afterwards', async () => {
    const { payer, hold } = await arrange();
    await postHold(atlas, hold.id, { amount: 20, keepRest: true });
    const key = newKey();
    const response = await postKeyed(atlas, `/v1/holds/${hold.id}/void`, undefined, key);
    expect(response.status).toBe(200);
    const voided = (await response.json()) as HoldResource;
    expect(voided).toMatchObject({ id: hold.id, state: 'voided', posted: 20, remaining: 0 });
    expect(voided.settledAt).not.toBeNull();
    expect(await sumsOf(payer)).toMatchObject({ balance: 80, available: 80, debitsPending: 0 });
    expect(await refusalOf(postKeyed(atlas, `/v1/holds/${hold.id}/void`))).toBe('hold_settled');
    expect(await refusalOf(postKeyed(atlas, `/v1/holds/${hold.id}/post`, {}))).toBe('hold_settled');
    const again = await postKeyed(atlas, `/v1/holds/${hold.id}/void`, undefined, key);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(await again.json()).toEqual(voided);
  });

  test('past its expiry is never posted or voided, and is released once', async () => {
    const { payer, hold } = await arrange({ expiresInSeconds: 1 });
    const path = `/v1/holds/${hold.id}`;
    await postHold(atlas, hold.id, { amount: 5, keepRest: true });
    // Whether or not it was released by then.
    await until(
      async () => (await refusalOf(postKeyed(atlas, `${path}/post`, { amount: 61 }))) === 'hold_expired',
    );
    expect(await refusalOf(postKeyed(atlas, `${path}/void`))).toBe('hold_expired');
    await Promise.all([release(), release()]);
    expect(await readHold(atlas, hold.id)).toMatchObject({ state: 'expired', posted: 5, remaining: 0 });
    expect(await sumsOf(payer)).toMatchObject({ balance: 95, available: 95, debitsPending: 0 });
    expect(await refusalOf(postKeyed(atlas, `${path}/post`, {}))).toBe('hold_expired');
  });
});

describe('requests about holds', () => {
  test('that are repeated return what the first one returned, whatever has become of the hold', async () => {
    const { order } = await arrange();
    const key = newKey();
    const create = () => postKeyed(atlas, '/v1/holds', { ...order, amount: 10 }, key);
    const hold = (await (await create()).json()) as HoldResource;
    const postKey = newKey();
    const post = (json: object) => postKeyed(atlas, `/v1/holds/${hold.id}/post`, json, postKey);
    const transfer = await (await post({ amount: 4, keepRest: true })).json();
    for (const [repeat, expected] of [
      [create, hold],
      [() => post({ amount: 4, keepRest: true }), transfer],
    ] as const) {
      const response = await repeat();
      expect([response.status, response.headers.get('idempotency-replayed')]).toEqual([201, 'true']);
      expect(await response.json()).toEqual(expected as object);
    }
    expect(await refusalOf(post({ amount: 4 }))).toBe('idempotency_key_reused');
    expect(await readHold(atlas, hold.id)).toMatchObject({ posted: 4 });
  });

  test('whose key has expired find the hold and the transfer that were made before', async () => {
    const { order } = await arrange();
    const [key, postKey] = [newKey(), newKey()];
    const create = (amount: number) => postKeyed(atlas, '/v1/holds', { ...order, amount }, key);
    const hold = (await (await create(10)).json()) as HoldResource;
    const post = () => postKeyed(atlas, `/v1/holds/${hold.id}/post`, {}, postKey);
    const transfer = (await (await post()).json()) as { id: string };
    const forget = () => atlas.sql`DELETE FROM idempotency_keys WHERE key IN (${key}, ${postKey})`;
    await forget();
    const [found, posted] = [await create(10), await post()];
    expect([found.status, posted.status]).toEqual([200, 200]);
    expect(await found.json()).toMatchObject({ id: hold.id, state: 'posted' });
    expect(await posted.json()).toEqual(transfer);
    await forget();
    expect(await refusalOf(create(11))).toBe('idempotency_key_reused');
  });

  test('need an Idempotency-Key, and hold at most a year', async () => {
    const { order, hold } = await arrange();
    for (const path of ['/v1/holds', `/v1/holds/${hold.id}/post`, `/v1/holds/${hold.id}/void`]) {
      const json = path === '/v1/holds' ? order : {};
      const body = path.endsWith('void') ? {} : { json };
      await expectProblem(atlas, await atlas.call('POST', path, body), 400, 'invalid_request');
    }
    for (const expiresInSeconds of [0, 31_536_001, 1.5]) {
      const response = await postKeyed(atlas, '/v1/holds', { ...order, expiresInSeconds });
      await expectProblem(atlas, response, 400, 'invalid_request');
    }
  });

  test('of holds that do not exist are 404', async () => {
    const path = `/v1/holds/${crypto.randomUUID()}`;
    await expectProblem(atlas, await atlas.call('GET', path), 404, 'hold_not_found');
    await expectProblem(atlas, await postKeyed(atlas, `${path}/post`, {}), 404, 'hold_not_found');
    await expectProblem(atlas, await postKeyed(atlas, `${path}/void`), 404, 'hold_not_found');
  });
});

test('the holds of an account are listed newest first, of both sides, by state and in pages', async () => {
  const { payer, payee, order, hold } = await arrange({ amount: 1 });
  const holds = [hold];
  for (let i = 0; i < 6; i++) holds.unshift(await holdMoney(atlas, { ...order, amount: 1 }));
  await postHold(atlas, holds[1]!.id);
  await postKeyed(atlas, `/v1/holds/${holds[2]!.id}/void`);
  const list = async (account: string, query: string) => {
    const response = await atlas.call('GET', `/v1/accounts/${account}/holds?${query}`);
    expect(response.status).toBe(200);
    return (await response.json()) as { holds: HoldResource[]; nextCursor: string | null };
  };
  const ids = holds.map(({ id }) => id);
  const read: string[] = [];
  for (let cursor = ''; ; ) {
    const page = await list(payee, `limit=3${cursor}`);
    expect(page.holds.length).toBeLessThanOrEqual(3);
    read.push(...page.holds.map(({ id }) => id));
    if (page.nextCursor === null) break;
    cursor = `&cursor=${page.nextCursor}`;
  }
  expect(read).toEqual(ids);
  const of = async (state: string) => (await list(payer, `state=${state}`)).holds.map(({ id }) => id);
  expect(await of('pending')).toEqual(ids.filter((_, i) => i !== 1 && i !== 2));
  expect([await of('posted'), await of('voided'), await of('expired')]).toEqual([[ids[1]!], [ids[2]!], []]);
  await expectProblem(
    atlas,
    await atlas.call('GET', `/v1/accounts/${crypto.randomUUID()}/holds`),
    404,
    'account_not_found',
  );
});
