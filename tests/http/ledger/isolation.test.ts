import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { ApiCaller } from '../../support/api-caller.ts';
import {
  type AccountResource,
  newKey,
  openAccount,
  postBatch,
  postTransfer,
  readAccount,
  type TransferResource,
} from '../../support/ledger-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';

const METADATA = { secret: 'of the payer' };
let atlas: TestApp;
let [acme, umbrella]: ApiCaller[] = [];
/** Accounts of the first organization, and of the second one: closed, open to all, and open to the first one. */
let own: AccountResource;
let [closed, open, openToAcme]: AccountResource[] = [];

beforeAll(async () => {
  atlas = await startTestApp();
  [acme, umbrella] = [await atlas.as('acme'), await atlas.as('umbrella')];
  own = await openAccount(acme);
  closed = await openAccount(umbrella);
  open = await openAccount(umbrella, { acceptsFrom: ['*'] });
  openToAcme = await openAccount(umbrella, { acceptsFrom: ['other', 'acme'] });
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

/** Everything that a caller can see of a response but what names the request: the status, the headers and the body. */
async function seen(response: Response, ...ids: string[]): Promise<string> {
  const headers = [...response.headers].filter(
    ([name]) => name !== 'x-request-id' && name !== 'content-length',
  );
  let text = JSON.stringify([response.status, headers, await response.text()]);
  for (const id of ids) text = text.replaceAll(id, 'ID');
  return text.replace(/\\"requestId\\":\\"[^"]+\\"/, '');
}

const payTo = (to: string, from = own.id) => ({
  debitAccountId: from,
  creditAccountId: to,
  amount: 7,
  metadata: METADATA,
});
const accountOf = async (caller: ApiCaller, id: string) => {
  const { balance, version } = (await readAccount(caller, id)) as AccountResource & { version: number };
  return { balance, version };
};

/** A transfer between two accounts of the second organization. */
async function theirTransfer(): Promise<TransferResource> {
  const posted = await postTransfer(umbrella!, payTo(open!.id, closed!.id));
  return (await posted.json()) as TransferResource;
}

describe('IDs of another organization get exactly the response of IDs that do not exist:', () => {
  test('when an account is read, by GET and HEAD, with its transfers, and changed', async () => {
    await theirTransfer();
    const patch = { json: { acceptsFrom: ['acme'] } };
    const requests: [string, string, object?][] = [
      ['GET', ''],
      ['HEAD', ''],
      ['GET', '/transfers'],
      ['GET', '/transfers?cursor=v000000000001'],
      ['PATCH', '', patch],
      ['PATCH', '', { ...patch, headers: { 'If-Match': '"1"' } }],
      ['PATCH', '', { ...patch, headers: { 'If-Match': '"7"' } }],
      ['PATCH', '', { ...patch, headers: { 'If-Match': '*' } }],
    ];
    for (const [method, rest, options] of requests) {
      const [theirs, none] = [closed!.id, crypto.randomUUID()];
      const read = async (id: string) =>
        seen(await acme!.call(method, `/v1/accounts/${id}${rest}`, options), id);
      expect([method, rest, await read(theirs)]).toEqual([method, rest, await read(none)]);
    }
    const [row] = await atlas.sql`SELECT accepts_from, revision FROM accounts WHERE id = ${closed!.id}`;
    expect(row!).toEqual({ acceptsFrom: null, revision: 1 });
  });

  test('when a transfer is read, even if it is in the cache of its owner', async () => {
    const { id } = await theirTransfer();
    const none = crypto.randomUUID();
    for (let i = 0; i < 2; i++) {
      expect((await umbrella!.call('GET', `/v1/transfers/${id}`)).status).toBe(200);
      for (const method of ['GET', 'HEAD'])
        expect(await seen(await acme!.call(method, `/v1/transfers/${id}`), id)).toBe(
          await seen(await acme!.call(method, `/v1/transfers/${none}`), none),
        );
    }
  });

  test('when a transfer is posted from or to them, alone and in a batch, whatever their state is', async () => {
    const usd = await openAccount(umbrella!, { ledger: 'USD', acceptsFrom: ['*'] });
    const full = await openAccount(umbrella!, { acceptsFrom: ['*'] });
    await atlas.sql`UPDATE accounts SET credits_posted = 9007199254740991 WHERE id = ${full.id}`;
    const orders = [closed!, usd, full].map(({ id }) => payTo(id));
    orders.push(payTo(own.id, open!.id), payTo(closed!.id, open!.id));
    const none = crypto.randomUUID();
    const unknown = await seen(await postTransfer(acme!, payTo(none)));
    for (const order of orders) {
      expect(await seen(await postTransfer(acme!, order))).toBe(unknown);
      const key = newKey();
      const first = await seen(await postTransfer(acme!, order, key));
      expect(first).toBe(unknown);
    }
    const batch = async (transfers: object[]) => {
      const response = await postBatch(acme!, { transfers });
      const { results } = (await response.json()) as { results: Record<string, unknown>[] };
      return results.map(({ id: _, ...result }) => result);
    };
    const refused = await batch([...orders, payTo(none)]);
    expect(new Set(refused.map((result) => JSON.stringify(result))).size).toBe(1);
    await atlas.sql`UPDATE accounts SET credits_posted = 0 WHERE id = ${full.id}`;
    expect(await accountOf(umbrella!, full.id)).toEqual({ balance: 0, version: 0 });
  });

  test('when they are chosen for something new: taken is all that it says', async () => {
    const { id: transfer } = await theirTransfer();
    const second = await openAccount(acme!);
    const order = { ...payTo(second.id), id: transfer };
    const ofOwn = (await (await postTransfer(acme!, payTo(second.id))).json()) as TransferResource;
    expect(await seen(await postTransfer(acme!, order), transfer)).toBe(
      await seen(await postTransfer(acme!, { ...payTo(second.id), amount: 9, id: ofOwn.id }), ofOwn.id),
    );
    const account = (id: string, ledger: string) =>
      acme!.call('POST', '/v1/accounts', { json: { id, ledger } });
    expect(await seen(await account(closed!.id, 'EUR'), closed!.id)).toBe(
      await seen(await account(second.id, 'USD'), second.id),
    );
  });
});

test('lists and totals have nothing of another organization', async () => {
  const lists = async (caller: ApiCaller) => {
    const { accounts } = (await (await caller.call('GET', '/v1/accounts?limit=200')).json()) as {
      accounts: { id: string; owner: string }[];
    };
    return new Set(accounts.map(({ owner }) => owner));
  };
  expect(await lists(acme!)).toEqual(new Set(['acme']));
  expect(await lists(umbrella!)).toEqual(new Set(['umbrella']));
  const verification = await (await acme!.call('GET', '/v1/ledger/verification')).json();
  const { accounts } = (await (await acme!.call('GET', '/v1/accounts?limit=200')).json()) as {
    accounts: object[];
  };
  expect(verification).toMatchObject({ ok: true, accounts: accounts.length });
  const whole = await atlas.call('GET', '/v1/operator/ledger/verification');
  const [row] = await atlas.sql`SELECT count(*)::int AS accounts FROM accounts`;
  expect(await whole.json()).toMatchObject({ ok: true, accounts: row!.accounts });
});

test('a list of accounts is complete and in order, page by page, whatever others open in between', async () => {
  const [one, two] = [await atlas.as('pages'), await atlas.as('others')];
  const opened: string[] = [];
  for (let i = 0; i < 7; i++) {
    opened.push((await openAccount(one)).id);
    await openAccount(two);
  }
  const found: string[] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const response = await one.call('GET', `/v1/accounts?limit=2${cursor && `&cursor=${cursor}`}`);
    const page = (await response.json()) as { accounts: AccountResource[]; nextCursor: string | null };
    found.push(...page.accounts.map(({ id }) => id));
    cursor = page.nextCursor;
  }
  expect(found).toEqual(opened);
});

describe('an account that accepts others', () => {
  test('is paid by them, and by nobody else', async () => {
    const third = await atlas.as('third');
    const theirs = await openAccount(third);
    expect((await postTransfer(acme!, payTo(openToAcme!.id))).status).toBe(201);
    expect((await postTransfer(acme!, payTo(open!.id))).status).toBe(201);
    expect((await postTransfer(third, payTo(open!.id, theirs.id))).status).toBe(201);
    expect((await postTransfer(third, payTo(openToAcme!.id, theirs.id))).status).toBe(422);
    // To pay is all that it allows.
    expect((await acme!.call('GET', `/v1/accounts/${open!.id}`)).status).toBe(404);
    expect((await acme!.call('GET', `/v1/accounts/${open!.id}/transfers`)).status).toBe(404);
  });

  test('is never debited by them, so what was paid can only be paid back by its owner', async () => {
    const back = { debitAccountId: open!.id, creditAccountId: own.id, amount: 1 };
    expect((await postTransfer(acme!, back)).status).toBe(422);
    expect((await postTransfer(umbrella!, back)).status).toBe(422);
    await acme!.call('PATCH', `/v1/accounts/${own.id}`, {
      json: { acceptsFrom: ['umbrella'] },
      headers: { 'If-Match': '*' },
    });
    expect((await postTransfer(acme!, back)).status).toBe(422);
    expect((await postTransfer(umbrella!, back)).status).toBe(201);
  });

  test('hides the metadata of payers of other organizations: in reads, lists, and on every retry', async () => {
    const payee = await openAccount(umbrella!, { acceptsFrom: ['acme'] });
    const key = newKey();
    const posted = (await (await postTransfer(acme!, payTo(payee.id), key)).json()) as TransferResource;
    expect(posted).toMatchObject({ metadata: METADATA });
    for (let i = 0; i < 2; i++) {
      const path = `/v1/transfers/${posted.id}`;
      expect(await (await umbrella!.call('GET', path)).json()).toEqual({ ...posted, metadata: {} });
      expect(await (await acme!.call('GET', path)).json()).toEqual(posted);
      expect(await (await postTransfer(acme!, payTo(payee.id), key)).json()).toEqual(posted);
    }
    const listOf = async (caller: ApiCaller, id: string) => {
      const page = await (await caller.call('GET', `/v1/accounts/${id}/transfers?limit=1`)).json();
      return (page as { transfers: object[] }).transfers;
    };
    expect(await listOf(umbrella!, payee.id)).toEqual([{ ...posted, metadata: {} }]);
    expect(await listOf(acme!, own.id)).toEqual([posted]);
    // A key of another organization is another key.
    expect((await postTransfer(umbrella!, payTo(payee.id), key)).status).toBe(422);
  });

  test('is changed with the ETag that was read, which payments do not change', async () => {
    const account = await openAccount(umbrella!, { acceptsFrom: null });
    const path = `/v1/accounts/${account.id}`;
    const accept = (acceptsFrom: unknown, ifMatch?: string) =>
      umbrella!.call('PATCH', path, {
        json: { acceptsFrom },
        headers: ifMatch ? { 'If-Match': ifMatch } : {},
      });
    const etag = (await umbrella!.call('GET', path)).headers.get('etag')!;
    expect((await postTransfer(umbrella!, payTo(account.id, closed!.id))).status).toBe(201);
    const changed = await accept(['acme', 'acme', 'third'], etag);
    expect(await changed.json()).toMatchObject({
      id: account.id,
      balance: 7,
      acceptsFrom: ['acme', 'third'],
    });
    expect((await accept(null, etag)).status).toBe(412);
    expect((await accept(null)).status).toBe(428);
    expect((await umbrella!.call('GET', path)).headers.get('etag')).toBe(changed.headers.get('etag'));
    expect((await postTransfer(acme!, payTo(account.id))).status).toBe(201);
    expect((await accept(null, changed.headers.get('etag')!)).status).toBe(200);
    expect((await postTransfer(acme!, payTo(account.id))).status).toBe(422);
    // Opening it again, as a retry would, returns it as it is now.
    const json = { id: account.id, ledger: 'EUR', allowNegative: true, acceptsFrom: ['*'] };
    const again = await umbrella!.call('POST', '/v1/accounts', { json });
    expect([again.status, ((await again.json()) as { acceptsFrom: unknown }).acceptsFrom]).toEqual([
      200,
      null,
    ]);
    expect(await (await accept(['acme', '*'], '*')).json()).toMatchObject({ acceptsFrom: ['*'] });
    const wrong = [[], [''], 'acme', Array.from({ length: 101 }, (_, i) => `o${i}`), undefined];
    for (const acceptsFrom of wrong) expect((await accept(acceptsFrom, '*')).status).toBe(400);
    expect(
      (
        await accept(
          Array.from({ length: 100 }, (_, i) => `o${i}`),
          '*',
        )
      ).status,
    ).toBe(200);
  });

  test('never mixes test and live money', async () => {
    const { token } = await atlas.keys.create({
      owner: 'acme',
      kind: 'test',
      name: 'test',
      scopes: ['accounts:write', 'transfers:write', 'accounts:read'],
      expiresAt: null,
    });
    const as = { Authorization: `Bearer ${token}` };
    const json = { ledger: 'EUR', allowNegative: true, acceptsFrom: ['*'] };
    const response = await atlas.call('POST', '/v1/accounts', { json, headers: as });
    const { id } = (await response.json()) as AccountResource;
    for (const to of [open!.id, openToAcme!.id, own.id])
      expect((await postTransfer(atlas, payTo(to, id), newKey(), as)).status).toBe(422);
    expect((await postTransfer(acme!, payTo(id))).status).toBe(422);
    expect((await acme!.call('GET', `/v1/accounts/${id}`)).status).toBe(404);
  });
});

test('isolation that is turned off shows everything to everybody, as before there was any', async () => {
  const { id } = await theirTransfer();
  await atlas.sql`UPDATE transfer_id_secret SET isolates_owners = false`;
  expect((await acme!.call('GET', `/v1/accounts/${closed!.id}`)).status).toBe(200);
  expect(await (await acme!.call('GET', `/v1/transfers/${id}`)).json()).toMatchObject({ metadata: METADATA });
  expect((await acme!.call('GET', `/v1/accounts/${closed!.id}/transfers`)).status).toBe(200);
  expect((await postTransfer(acme!, payTo(own.id, closed!.id))).status).toBe(201);
  const change = { json: { acceptsFrom: ['acme'] }, headers: { 'If-Match': '*' } };
  expect((await acme!.call('PATCH', `/v1/accounts/${closed!.id}`, change)).status).toBe(404);
  await atlas.sql`UPDATE transfer_id_secret SET isolates_owners = true`;
  expect((await acme!.call('GET', `/v1/accounts/${closed!.id}`)).status).toBe(404);
});
