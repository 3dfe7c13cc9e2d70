import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { ErrorCode } from '../../../src/errors.ts';
import type { TransferContent } from '../../../src/features/ledger/movement.ts';
import { fingerprintOf } from '../../../src/features/ledger/movement.ts';
import { createTransferRepository } from '../../../src/features/ledger/transfers/repository.ts';
import { createTransferIds, deriveFormerId } from '../../../src/features/ledger/transfers/transfer-ids.ts';
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
import { expectProblem } from '../problem-assertions.ts';

const UUID_V8 = /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
let atlas: TestApp;
let bank: AccountResource;
beforeAll(async () => {
  atlas = await startTestApp();
  bank = await openAccount(atlas);
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

const contentOf = (to: AccountResource, id: string, amount = 5): TransferContent => ({
  id,
  debitAccountId: bank.id,
  creditAccountId: to.id,
  amount,
  reference: null,
  metadata: {},
});
const payTo = (to: AccountResource, amount = 5) => ({
  debitAccountId: bank.id,
  creditAccountId: to.id,
  amount,
});
const unused = () => deriveFormerId('nobody', crypto.randomUUID(), 0);

/**
 * Leaves what a release without the secret would have: a transfer under any id, and a record of its key. It did not
 * isolate organizations either.
 */
async function postBefore(owner: string, key: string, content: TransferContent): Promise<void> {
  await atlas.sql`UPDATE transfer_id_secret SET has_former_ids = true, isolates_owners = false`;
  const fingerprint = fingerprintOf('/v1/transfers', false, [content]);
  const orders = [{ ...content, formerId: unused() }];
  await createTransferRepository(atlas.deps.database).post([
    { owner, key, fingerprint, atomic: false, orders },
  ]);
  await atlas.sql`UPDATE transfer_id_secret SET isolates_owners = true`;
}

/** Returns another organization, and a transfer between two accounts of its own. */
async function openStranger() {
  const stranger = await atlas.as('stranger');
  const [from, to] = [await openAccount(stranger), await openAccount(stranger)];
  const order = { debitAccountId: from.id, creditAccountId: to.id, amount: 7 };
  return { stranger, order };
}

/** The problem without what identifies the request. */
async function bytesOf(response: Response, status: number, code: ErrorCode): Promise<string> {
  const { requestId, ...problem } = await expectProblem(atlas, response, status, code);
  return JSON.stringify({ ...problem, headers: [...response.headers.keys()] });
}

describe('the id of a transfer', () => {
  test('is derived from the key, and is not the one that anybody can compute', async () => {
    const [account, key] = [await openAccount(atlas), newKey()];
    const { id } = (await (await postTransfer(atlas, payTo(account), key)).json()) as TransferResource;
    expect(id).toMatch(UUID_V8);
    expect(id).not.toBe(deriveFormerId('owner', key, 0));
  });

  test('is derived with the secret that the worker has read before it served', async () => {
    const worker = await startTestApp({ DATABASE_URL: atlas.deps.databaseUrl });
    await worker.prepare();
    const [{ secret }] = await atlas.sql<[{ secret: Buffer }]>`
      WITH before AS (SELECT secret FROM transfer_id_secret)
      UPDATE transfer_id_secret t SET secret = decode(repeat('07', 32), 'hex') FROM before RETURNING before.secret`;
    const [account, key] = [await openAccount(atlas), newKey()];
    const { id } = (await (await postTransfer(worker, payTo(account), key)).json()) as TransferResource;
    await atlas.sql`UPDATE transfer_id_secret SET secret = ${secret}`;
    await worker.close();
    const ids = createTransferIds(async () => secret);
    await ids.ready();
    expect(id).toBe(ids.derive('owner', key, 0).id);
  });

  test('costs no lookup of former ids on a database that has none', async () => {
    expect(await atlas.sql`SELECT has_former_ids AS looks FROM transfer_id_secret`).toMatchObject([
      { looks: false },
    ]);
  });
});

describe('a key of another owner', () => {
  test('cannot be burnt with a transfer under the id that anybody can compute', async () => {
    const [account, key] = [await openAccount(atlas), newKey()];
    const id = deriveFormerId('owner', key, 0);
    const { stranger, order } = await openStranger();
    await expectProblem(atlas, await postTransfer(stranger, { ...order, id }), 409, 'transfer_id_taken');
    // Nor by sending the very transfer, which would count as posted.
    const equal = await postTransfer(stranger, { ...payTo(account), id });
    await expectProblem(atlas, equal, 422, 'unknown_account');
    expect((await postTransfer(atlas, payTo(account), key)).status).toBe(201);
    expect(await readAccount(atlas, account.id)).toMatchObject({ balance: 5, version: 1 });
  });

  test('is not burnt by what was posted under that id before ids had a secret', async () => {
    const [account, key] = [await openAccount(atlas), newKey()];
    await postBefore('stranger', newKey(), contentOf(account, deriveFormerId('owner', key, 0), 1));
    const posted = await postTransfer(atlas, payTo(account), key);
    expect(posted.status).toBe(201);
    const again = await postTransfer(atlas, payTo(account), key);
    expect(await again.text()).toBe(await posted.text());
    expect(await readAccount(atlas, account.id)).toMatchObject({ balance: 6, version: 2 });
  });
});

describe('a transfer that was posted before ids had a secret', () => {
  test('is replayed under its key', async () => {
    const [account, key] = [await openAccount(atlas), newKey()];
    const former = contentOf(account, deriveFormerId('owner', key, 0));
    await postBefore('owner', key, former);
    const replayed = await postTransfer(atlas, payTo(account), key);
    expect([replayed.status, replayed.headers.get('idempotency-replayed')]).toEqual([201, 'true']);
    expect(await replayed.json()).toMatchObject({ ...former });
    const changed = await postTransfer(atlas, payTo(account, 6), key);
    await expectProblem(atlas, changed, 422, 'idempotency_key_reused');
    expect(await readAccount(atlas, account.id)).toMatchObject({ balance: 5, version: 1 });
  });

  test('exists when its key was forgotten', async () => {
    const [account, key] = [await openAccount(atlas), newKey()];
    const former = contentOf(account, deriveFormerId('owner', key, 0));
    await postBefore('owner', key, former);
    await atlas.sql`DELETE FROM idempotency_keys WHERE key = ${key}`;
    for (const replayed of [null, 'true']) {
      const late = await postTransfer(atlas, payTo(account), key);
      expect([late.status, late.headers.get('idempotency-replayed')]).toEqual([200, replayed]);
      expect(await late.json()).toMatchObject({ ...former });
    }
    expect(await readAccount(atlas, account.id)).toMatchObject({ balance: 5, version: 1 });
  });

  test('exists in a batch, next to new ones and to ids of the caller', async () => {
    const [account, key] = [await openAccount(atlas), newKey()];
    const former = contentOf(account, deriveFormerId('owner', key, 1), 2);
    await postBefore('owner', newKey(), former);
    const own = crypto.randomUUID();
    const transfers = [payTo(account, 1), payTo(account, 2), { ...payTo(account, 4), id: own }];
    const response = await postBatch(atlas, { transfers, atomic: true }, key);
    const { results } = (await response.json()) as { results: object[] };
    expect(results).toMatchObject([
      { status: 'posted', id: expect.stringMatching(UUID_V8) as string },
      { status: 'exists', id: former.id, transfer: { ...former } },
      { status: 'posted', id: own },
    ]);
    expect(await readAccount(atlas, account.id)).toMatchObject({ balance: 7, version: 3 });
  });

  test('is found under a UUIDv8 of its caller, by key and by id, before that version is refused', async () => {
    const [account, key] = [await openAccount(atlas), newKey()];
    const id = unused();
    await postBefore('owner', key, contentOf(account, id));
    const order = { ...payTo(account), id };
    const replayed = await postTransfer(atlas, order, key);
    expect([replayed.status, replayed.headers.get('idempotency-replayed')]).toEqual([201, 'true']);
    const found = await postTransfer(atlas, order);
    expect([found.status, await found.text()]).toEqual([200, await replayed.text()]);
    expect(await readAccount(atlas, account.id)).toMatchObject({ balance: 5, version: 1 });
  });
});

describe('an id that the caller chose', () => {
  test.each([4, 7])('may be a UUIDv%i, and is refused once another owner has it', async (version) => {
    const account = await openAccount(atlas);
    const id = version === 4 ? crypto.randomUUID() : Bun.randomUUIDv7();
    expect((await postTransfer(atlas, { ...payTo(account), id })).status).toBe(201);
    const { stranger, order } = await openStranger();
    await expectProblem(atlas, await postTransfer(stranger, { ...order, id }), 409, 'transfer_id_taken');
  });

  test('gets the same response whatever transfer has it, or none', async () => {
    const [account, key] = [await openAccount(atlas), newKey()];
    const { id: derived } = (await (
      await postTransfer(atlas, payTo(account), key)
    ).json()) as TransferResource;
    const own = crypto.randomUUID();
    await postTransfer(atlas, { ...payTo(account), id: own });
    const { stranger, order } = await openStranger();
    const taken = [unused(), deriveFormerId('owner', key, 0), derived, own];
    const post = async (content: object, id: string) => postTransfer(stranger, { ...content, id });
    const responses = await Promise.all(
      taken.map(async (id) => bytesOf(await post(order, id), 409, 'transfer_id_taken')),
    );
    expect(new Set(responses).size).toBe(1);
    // Whatever else is wrong with the transfer: unused IDs included, if no account of the caller is debited.
    const unknown = { ...order, debitAccountId: crypto.randomUUID() };
    for (const wrong of [unknown, { ...order, debitAccountId: bank.id }])
      responses.push(
        ...(await Promise.all(
          [...taken, crypto.randomUUID()].map(async (id) =>
            bytesOf(await post(wrong, id), 422, 'unknown_account'),
          ),
        )),
      );
    expect(new Set(responses).size).toBe(2);
  });

  test('is refused in a batch for its item alone, and in an atomic one for all', async () => {
    const account = await openAccount(atlas);
    const transfers = [payTo(account, 1), { ...payTo(account, 2), id: unused() }, payTo(account, 3)];
    const response = await postBatch(atlas, { transfers });
    expect(((await response.json()) as { results: object[] }).results).toMatchObject([
      { status: 'posted' },
      { status: 'refused', code: 'transfer_id_taken' },
      { status: 'posted' },
    ]);
    const atomic = await postBatch(atlas, { transfers, atomic: true });
    await expectProblem(atlas, atomic, 422, 'batch_refused', ['/transfers/1']);
    expect(await readAccount(atlas, account.id)).toMatchObject({ balance: 4, version: 2 });
  });

  test('may have the digit 8 without the variant of a UUIDv8', async () => {
    const account = await openAccount(atlas);
    const id = `${crypto.randomUUID().slice(0, 14)}8000-0000-000000000000`;
    expect((await postTransfer(atlas, { ...payTo(account), id })).status).toBe(201);
  });
});
