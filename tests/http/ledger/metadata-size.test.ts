import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { fingerprintOf, sortMembers } from '../../../src/features/ledger/movement.ts';
import { createTransferRepository } from '../../../src/features/ledger/transfers/repository.ts';
import {
  type AccountResource,
  newKey,
  openAccount,
  postBatch,
  postTransfer,
  readAccount,
} from '../../support/ledger-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { expectProblem } from '../problem-assertions.ts';

const BYTES_MAX = 16_384;

let atlas: TestApp;
let bank: AccountResource;
let alice: AccountResource;
beforeAll(async () => {
  atlas = await startTestApp();
  bank = await openAccount(atlas);
  alice = await openAccount(atlas);
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

/** Metadata of exactly this many bytes as compact JSON. */
function metadataOf(bytes: number, letter = 'x'): Record<string, string> {
  const metadata: Record<string, string> = {};
  const size = () => Buffer.byteLength(JSON.stringify(metadata));
  for (let i = 0; size() + 600 < bytes; i++)
    metadata[`m${i}`] = letter.repeat(480 / (Buffer.byteLength(JSON.stringify(letter)) - 2));
  metadata.rest = '';
  metadata.more = '';
  const missing = bytes - size();
  metadata.rest = 'x'.repeat(Math.min(500, missing));
  metadata.more = 'x'.repeat(missing - metadata.rest.length);
  expect(size()).toBe(bytes);
  return metadata;
}

const transferOf = (more: object) => ({
  debitAccountId: bank.id,
  creditAccountId: alice.id,
  amount: 1,
  ...more,
});

const expectTooLarge = async (response: Response, pointers: string[], bytes: number) => {
  const { errors } = await expectProblem(atlas, response, 422, 'metadata_too_large', pointers);
  for (const { detail } of errors!)
    expect(detail).toBe(`has ${bytes} bytes; at most ${BYTES_MAX} are allowed`);
};

describe.each([
  ['ASCII', 'x'],
  ['three bytes per character', '語'],
  ['an escape per character', '\\'],
])('metadata of %s', (_what, letter) => {
  test('of exactly 16 KiB is stored and returned unchanged', async () => {
    const metadata = metadataOf(BYTES_MAX, letter);
    const account = await openAccount(atlas, { metadata });
    expect((await readAccount(atlas, account.id)).metadata).toEqual(metadata);
    const posted = await postTransfer(atlas, transferOf({ metadata }));
    expect(posted.status).toBe(201);
    expect(await posted.json()).toMatchObject({ metadata });
  });

  test('of one byte more is refused with a pointer and both sizes, and nothing is stored', async () => {
    const metadata = metadataOf(BYTES_MAX + 1, letter);
    const id = crypto.randomUUID();
    const opened = await atlas.call('POST', '/v1/accounts', { json: { id, ledger: 'EUR', metadata } });
    await expectTooLarge(opened, ['/metadata'], BYTES_MAX + 1);
    expect((await atlas.call('GET', `/v1/accounts/${id}`)).status).toBe(404);
    const posted = await postTransfer(atlas, transferOf({ id, metadata }));
    await expectTooLarge(posted, ['/metadata'], BYTES_MAX + 1);
    expect((await atlas.call('GET', `/v1/transfers/${id}`)).status).toBe(404);
  });
});

test('the limit applies to each transfer of a batch, and one that exceeds it refuses the batch', async () => {
  const [full, over] = [metadataOf(BYTES_MAX), metadataOf(BYTES_MAX + 1)];
  const fine = Array.from({ length: 5 }, () => transferOf({ metadata: full }));
  expect((await postBatch(atlas, { transfers: fine })).status).toBe(200);
  const id = crypto.randomUUID();
  const transfers = [
    transferOf({ id }),
    transferOf({ metadata: over }),
    transferOf({}),
    transferOf({ metadata: over }),
  ];
  const refused = await postBatch(atlas, { transfers });
  await expectTooLarge(refused, ['/transfers/1/metadata', '/transfers/3/metadata'], BYTES_MAX + 1);
  expect((await atlas.call('GET', `/v1/transfers/${id}`)).status).toBe(404);
});

describe('what an older release stored with larger metadata', () => {
  const large = () => metadataOf(20_000);

  test('stays readable, and opening the account again returns it', async () => {
    const content = { id: crypto.randomUUID(), ledger: 'EUR', metadata: large() };
    await atlas.sql`
      INSERT INTO accounts (id, owner, ledger, allow_negative, metadata)
      VALUES (${content.id}, 'owner', 'EUR', false, ${atlas.sql.json(content.metadata)})`;
    expect((await readAccount(atlas, content.id)).metadata).toEqual(content.metadata);
    const again = await atlas.call('POST', '/v1/accounts', { json: content });
    expect(again.status).toBe(200);
    const other = { ...content, metadata: { ...content.metadata, rest: 'other' } };
    await expectProblem(
      atlas,
      await atlas.call('POST', '/v1/accounts', { json: other }),
      409,
      'account_id_taken',
    );
  });

  test('is returned to a retry with its Idempotency-Key', async () => {
    const key = newKey();
    const order = {
      id: crypto.randomUUID(),
      ...transferOf({}),
      reference: null,
      metadata: sortMembers(large()),
    };
    const { reference: _, ...json } = order;
    const fingerprint = fingerprintOf('/v1/transfers', false, [order]);
    const repository = createTransferRepository(atlas.deps.database);
    await repository.post([{ owner: 'owner', key, fingerprint, atomic: false, orders: [order] }]);
    const again = await postTransfer(atlas, json, key);
    expect([again.status, again.headers.get('idempotency-replayed')]).toEqual([201, 'true']);
    expect(await again.json()).toMatchObject(json);
    const other = { ...json, id: crypto.randomUUID() };
    await expectProblem(atlas, await postTransfer(atlas, other, key), 422, 'idempotency_key_reused');
    await expectProblem(atlas, await postTransfer(atlas, other), 422, 'metadata_too_large');
  });
});

test('a refusal does not depend on whether another owner has an account or a transfer under the ID', async () => {
  const token = await atlas.key(['accounts:write', 'transfers:write'], 'other');
  const headers = { Authorization: `Bearer ${token}` };
  const posted = (await (await postTransfer(atlas, transferOf({}))).json()) as { id: string };
  const metadata = metadataOf(BYTES_MAX + 1);
  for (const id of [alice.id, crypto.randomUUID()]) {
    const json = { id, ledger: 'EUR', metadata };
    const opened = await atlas.call('POST', '/v1/accounts', { json, headers });
    await expectProblem(atlas, opened, 422, 'metadata_too_large');
  }
  for (const id of [posted.id, crypto.randomUUID()]) {
    const refused = await postTransfer(atlas, transferOf({ id, metadata }), newKey(), headers);
    await expectProblem(atlas, refused, 422, 'metadata_too_large');
  }
});
