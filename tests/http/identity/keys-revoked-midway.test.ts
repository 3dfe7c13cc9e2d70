import { afterAll, afterEach, beforeAll, expect, spyOn, test } from 'bun:test';
import { type FilesApp, gzipLike, MIB, startFilesApp, uploadFile } from '../../support/file-steps.ts';
import { openAccount } from '../../support/ledger-steps.ts';
import { START_TIMEOUT_MS } from '../../support/test-app.ts';
import { expectProblem } from '../problem-assertions.ts';

let atlas: FilesApp;
beforeAll(async () => {
  atlas = await startFilesApp('directory');
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

let later: { mockRestore(): void } | null = null;
afterEach(() => later?.mockRestore());

/** The time within which a revoked key stops working passes. */
function passRevocation(): void {
  const realNow = performance.now.bind(performance);
  later = spyOn(performance, 'now').mockImplementation(() => realNow() + 5001);
}

/** A key, and the revocation that takes effect before `revoke` resolves. */
async function makeKey() {
  const token = await atlas.key();
  const revoke = async () => {
    await atlas.keys.revoke(token.split('_')[2]!);
    passRevocation();
  };
  return { Authorization: `Bearer ${token}`, revoke };
}

/** A body that pauses before its last piece. */
function bodyWithPause(pieces: readonly (string | Uint8Array)[], pause: () => Promise<void> | void) {
  const left = pieces.map((piece) => (typeof piece === 'string' ? Buffer.from(piece) : piece));
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        if (left.length === 1) await pause();
        controller.enqueue(left.shift()!);
        if (left.length === 0) controller.close();
      },
    },
    { highWaterMark: 0 },
  );
}

async function pay(pause: (revoke: () => Promise<void>) => Promise<void> | void) {
  const [from, to] = [await openAccount(atlas), await openAccount(atlas)];
  const { Authorization, revoke } = await makeKey();
  const text = JSON.stringify({ debitAccountId: from.id, creditAccountId: to.id, amount: 5 });
  const response = await atlas.call('POST', '/v1/transfers', {
    headers: { Authorization, 'Idempotency-Key': crypto.randomUUID(), 'Content-Type': 'application/json' },
    body: bodyWithPause([text.slice(0, 20), text.slice(20)], () => pause(revoke)),
  });
  const [row] = await atlas.sql<{ creditsPosted: number }[]>`
    SELECT credits_posted FROM accounts WHERE id = ${to.id}`;
  return { response, balance: row!.creditsPosted };
}

test('a payment whose body arrives after its key was revoked is a 401, and is not posted', async () => {
  const { response, balance } = await pay((revoke) => revoke());
  await expectProblem(atlas, response, 401, 'unauthenticated');
  expect(response.headers.get('www-authenticate')).toBe('Bearer realm="atlas"');
  expect(balance).toBe(0);
});

test('a payment whose body arrives after its organization was suspended is a 403', async () => {
  const suspend = async (at: Date | null) =>
    atlas.sql`UPDATE organizations SET suspended_at = ${at} WHERE id = 'owner'`;
  const { response, balance } = await pay(async () => {
    await suspend(new Date());
    passRevocation();
  }).finally(() => suspend(null));
  await expectProblem(atlas, response, 403, 'organization_suspended');
  expect(balance).toBe(0);
});

test('a payment whose body takes long is posted if its key is still usable', async () => {
  const { response, balance } = await pay(passRevocation);
  expect(response.status).toBe(201);
  expect(balance).toBe(5);
});

test('an upload whose last bytes arrive after its key was revoked is a 401, and nothing of it is retained', async () => {
  const { Authorization, revoke } = await makeKey();
  const before = await atlas.rows();
  const body = bodyWithPause([gzipLike(MIB), gzipLike(10)], revoke);
  const response = await atlas.call('POST', '/v1/files', { headers: { Authorization }, body });
  await expectProblem(atlas, response, 401, 'unauthenticated');
  expect(await atlas.rows()).toEqual(before);
  expect(await atlas.objectIds()).toEqual(Object.keys(before));
});

test('an upload that never ends is ended after its key was revoked', async () => {
  const { Authorization, revoke } = await makeKey();
  let pieces = 0;
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        if (++pieces === 3) await revoke();
        controller.enqueue(gzipLike(1000));
      },
    },
    { highWaterMark: 0 },
  );
  const response = await atlas.call('POST', '/v1/files', { headers: { Authorization }, body });
  await expectProblem(atlas, response, 401, 'unauthenticated');
});

test('an upload that takes long is stored if its key is still usable', async () => {
  const { Authorization } = await makeKey();
  const body = bodyWithPause([gzipLike(MIB), gzipLike(10)], passRevocation);
  expect((await atlas.call('POST', '/v1/files', { headers: { Authorization }, body })).status).toBe(201);
});

test('a download ends after its key was revoked, and goes on with one that is usable', async () => {
  const bytes = gzipLike(2 * MIB);
  const { id } = await uploadFile(atlas, bytes);
  const path = `/v1/files/${id}/content`;
  const { Authorization, revoke } = await makeKey();
  const [revoked, usable] = [
    (await atlas.call('GET', path, { headers: { Authorization } })).body!.getReader(),
    (await atlas.call('GET', path)).body!.getReader(),
  ];
  await Promise.all([revoked.read(), usable.read()]);
  await revoke();
  await expect(revoked.read()).rejects.toThrow('revoked');
  let length = 65_536;
  for (let piece = await usable.read(); !piece.done; piece = await usable.read())
    length += piece.value.length;
  expect(length).toBe(bytes.length);
  expect(atlas.files.stats.downloadsInFlight).toBe(0);
});
