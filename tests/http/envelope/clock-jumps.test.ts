import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import { jumpClock, YEAR_MS } from '../../support/clock-jump.ts';
import { freshDatabase } from '../../support/database.ts';
import { availableStores, gzipLike, MIB, startFilesApp, uploadFile } from '../../support/file-steps.ts';
import { openAccount, postTransfer, readAccount } from '../../support/ledger-steps.ts';
import { lockTable } from '../../support/table-lock.ts';
import { START_TIMEOUT_MS, startTestApp } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';
import { startReceiver } from '../../support/webhook-receiver.ts';
import {
  createWebhook,
  deliveriesIn,
  type SendingAtlas,
  startSendingAtlas,
} from '../../support/webhook-steps.ts';
import { expectProblem } from '../problem-assertions.ts';
import { proxyTo } from '../tcp-proxy.ts';

const HOUR_MS = 3_600_000;

let back = () => {};
beforeAll(() => freshDatabase(), START_TIMEOUT_MS);
afterEach(() => back());

describe.each([
  ['ten years ahead', 10 * YEAR_MS],
  ['ten years behind', -10 * YEAR_MS],
])('when the clock of the host jumps %s', (_, byMs) => {
  const jump = () => {
    back = jumpClock(byMs);
  };

  test('a waiting request is not aborted by it, and one that waits too long still is', async () => {
    const atlas = await startTestApp();
    const lock = await lockTable(atlas.deps.databaseUrl, 'accounts');
    const patient = atlas.call('GET', '/v1/accounts');
    const hurried = atlas.call('GET', '/v1/accounts', { headers: { 'grpc-timeout': '700m' } });
    await lock.waiters(2);
    jump();
    await expectProblem(atlas, await hurried, 504, 'deadline_exceeded');
    await lock.release();
    expect((await patient).status).toBe(200);
    await atlas.close();
  });

  test('a payment is recognized by its key, and numbered after earlier ones', async () => {
    const atlas = await startTestApp();
    const [from, to] = [await openAccount(atlas), await openAccount(atlas)];
    const order = { debitAccountId: from.id, creditAccountId: to.id, amount: 5 };
    expect((await postTransfer(atlas, order, 'before')).status).toBe(201);
    jump();
    const again = await postTransfer(atlas, order, 'before');
    expect([again.status, again.headers.get('idempotency-replayed')]).toEqual([201, 'true']);
    expect((await postTransfer(atlas, order, 'after')).status).toBe(201);
    expect(await readAccount(atlas, to.id)).toMatchObject({ balance: 10, version: 2 });
    // The jobs of the host, such as the one that deletes expired keys, delete nothing recent.
    for (const { run } of atlas.jobs) await run();
    expect((await postTransfer(atlas, order, 'after')).headers.get('idempotency-replayed')).toBe('true');
    const response = await atlas.call('GET', `/v1/accounts/${to.id}/transfers`);
    const { transfers } = (await response.json()) as { transfers: { createdAt: string }[] };
    for (const { createdAt } of transfers)
      expect(Math.abs(Date.parse(createdAt) + byMs - Date.now())).toBeLessThan(HOUR_MS);
    await atlas.close();
  });

  test('API keys expire by the clock of the database', async () => {
    const atlas = await startTestApp();
    const content = { owner: 'owner', name: 'test', scopes: ['accounts:read'] as const };
    const key = (afterMs: number) =>
      atlas.keys.create({ ...content, expiresAt: new Date(Date.now() + afterMs) });
    const [live, dead] = [await key(HOUR_MS), await key(-HOUR_MS)];
    jump();
    const ping = ({ token }: { token: string }) =>
      atlas.call('GET', '/v1/accounts', { headers: { Authorization: `Bearer ${token}` } });
    expect((await ping(live)).status).toBe(200);
    expect((await ping(dead)).status).toBe(401);
    await atlas.close();
  });

  test('an open breaker closes when PostgreSQL is back, not by the clock', async () => {
    const url = await freshDatabase();
    const proxy = proxyTo(url);
    const atlas = await startTestApp({ DATABASE_URL: proxy.url, DATABASE_TIMEOUT: '1' });
    const [database] = atlas.deps.dependencies;
    proxy.stop();
    await until(async () => {
      expect((await atlas.call('GET', '/v1/accounts')).status).toBe(503);
      return database!.state === 'open';
    });
    jump();
    for (let i = 0; i < 20; i++) expect((await atlas.call('GET', '/v1/accounts')).status).toBe(503);
    expect(database!.state).toBe('open');
    const again = proxyTo(url, Number(new URL(proxy.url).port));
    await until(async () => (await atlas.call('GET', '/v1/accounts')).status === 200);
    await atlas.close();
    again.stop();
  });
});

describe.each([
  ['ten years ahead', 10 * YEAR_MS],
  ['ten years behind', -10 * YEAR_MS],
])('webhooks, when the clock jumps %s', (_, byMs) => {
  let sending: SendingAtlas;
  beforeAll(async () => {
    sending = await startSendingAtlas();
  }, START_TIMEOUT_MS);
  afterAll(() => sending.close());

  test('are sent when they are due by the clock of the database', async () => {
    const { atlas } = sending;
    const receiver = startReceiver();
    receiver.respond = () => new Response(null, { status: 500 });
    const webhook = await createWebhook(atlas, { url: receiver.url, eventTypes: ['account.opened.v1'] });
    back = jumpClock(byMs);
    await openAccount(atlas);
    await receiver.arrived(1);
    const [waiting] = await until(async () => {
      const found = await deliveriesIn(atlas, webhook.id, 'pending', 1);
      return found[0]!.nextAttemptAt !== null && found;
    });
    const dueMs = Date.parse(waiting!.nextAttemptAt!) + byMs - Date.now();
    expect(Math.abs(dueMs)).toBeLessThan(HOUR_MS);
    receiver.respond = () => new Response(null, { status: 204 });
    await sending.hurry();
    await deliveriesIn(atlas, webhook.id, 'delivered', 1);
    expect(receiver.received).toHaveLength(2);
    await receiver.stop();
  });
});

describe.each(availableStores())('files in the %s, when the clock jumps a year ahead', (kind) => {
  test('no stored file is taken for expired, and an upload in progress is complete or absent', async () => {
    const atlas = await startFilesApp(kind);
    const bytes = gzipLike(1000);
    const { id } = await uploadFile(atlas, bytes);
    const started = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    const large = gzipLike(3 * MIB);
    let piece = 0;
    const body = new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          if (piece === 2) {
            started.resolve();
            await goOn.promise;
          }
          if (piece === 3) return controller.close();
          controller.enqueue(large.slice(piece * MIB, ++piece * MIB));
        },
      },
      { highWaterMark: 0 },
    );
    const uploading = atlas.call('POST', '/v1/files', { body });
    await started.promise;
    back = jumpClock(YEAR_MS);
    // S3 rejects signatures with a skewed clock until the client has learned the time from a response.
    const works = [await atlas.files.settle().catch(String), await atlas.files.sweep().catch(String)];
    if (kind === 'directory') expect(works).toEqual([undefined, undefined]);
    goOn.resolve();
    const response = await uploading;
    expect([201, 503]).toContain(response.status);
    back();
    await until(() =>
      atlas.files.settle().then(
        () => true,
        () => false,
      ),
    );
    const stored = response.status === 201 ? ((await response.json()) as { id: string }).id : null;
    const expected = new Map([[id, bytes], ...(stored ? [[stored, large] as const] : [])]);
    expect(Object.keys(await atlas.rows()).sort()).toEqual([...expected.keys()].sort());
    for (const [file, content] of expected) {
      const read = await atlas.call('GET', `/v1/files/${file}/content`);
      expect(read.status).toBe(200);
      expect(Buffer.from(await read.arrayBuffer()).equals(content)).toBe(true);
    }
    expect(atlas.logs.filter((line) => line.includes('damaged'))).toEqual([]);
    await atlas.close();
  });
});
