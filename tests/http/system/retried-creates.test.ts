import { afterAll, beforeAll, expect, spyOn, test } from 'bun:test';
import { type FileResource, type FilesApp, sha256Of, startFilesApp } from '../../support/file-steps.ts';
import type { AccountResource } from '../../support/ledger-steps.ts';
import { START_TIMEOUT_MS } from '../../support/test-app.ts';
import { expectProblem } from '../problem-assertions.ts';

let atlas: FilesApp;
beforeAll(async () => {
  atlas = await startFilesApp('directory', { WEBHOOKS_ALLOWED_HOSTS: '127.0.0.1' });
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

const post = (path: string, key: string, json: object) =>
  atlas.call('POST', path, { json, headers: { 'Idempotency-Key': key } });
const open = (key: string, json: object) => post('/v1/accounts', key, { ledger: 'EUR', ...json });
const upload = (key: string, body: string, headers: Record<string, string> = {}) =>
  atlas.call('POST', '/v1/files', { body, headers: { 'Idempotency-Key': key, ...headers } });
const isReplayed = (response: Response) => response.headers.get('idempotency-replayed') === 'true';

test('the order of members does not make another request, and leaving out a default does not either', async () => {
  const first = await open('order', { name: 'A', metadata: { a: '1', b: '2' }, allowNegative: false });
  const again = await open('order', { metadata: { b: '2', a: '1' }, name: 'A' });
  expect([first.status, again.status, isReplayed(again)]).toEqual([201, 201, true]);
  const changed = await open('order', { metadata: { b: '2', a: '2' }, name: 'A' });
  await expectProblem(atlas, changed, 422, 'idempotency_key_reused');
});

test('an account opened by the release before acceptsUpTo is returned to a retry, with its default', async () => {
  const first = await open('former', { acceptsFrom: ['*'] });
  await atlas.sql`
    UPDATE idempotent_responses SET response = (response::jsonb #- '{created,acceptsUpTo}')::text WHERE key = 'former'`;
  for (const acceptsUpTo of [undefined, null, 10_000_000_000]) {
    const again = await open('former', { acceptsFrom: ['*'], acceptsUpTo });
    expect([again.status, isReplayed(again), await again.json()]).toEqual([
      201,
      true,
      await first.clone().json(),
    ]);
  }
  await expectProblem(atlas, await open('former', { acceptsUpTo: 1 }), 422, 'idempotency_key_reused');
});

test('an account that exists is replayed as it is, however large its metadata', async () => {
  const id = crypto.randomUUID();
  expect((await open('opened', { id })).status).toBe(201);
  // As an earlier release allowed.
  const metadata = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`m${i}`, '\u0001'.repeat(500)]));
  await atlas.sql`UPDATE accounts SET metadata = ${atlas.sql.json(metadata)} WHERE id = ${id}`;
  const first = await open('exists', { id, metadata });
  const again = await open('exists', { id, metadata });
  expect([first.status, again.status]).toEqual([200, 200]);
  expect([isReplayed(first), isReplayed(again)]).toEqual([false, true]);
  expect(((await again.json()) as AccountResource).metadata).toEqual(metadata);
  await expectProblem(atlas, await open('exists', { id }), 422, 'idempotency_key_reused');
});

test('the largest metadata of a new account fits into its stored response', async () => {
  const metadata = Object.fromEntries(Array.from({ length: 5 }, (_, i) => [`m${i}`, '\u0001'.repeat(500)]));
  const first = await open('largest', { name: '\u0001'.repeat(200), metadata });
  expect(first.status).toBe(201);
  expect(await (await open('largest', { name: '\u0001'.repeat(200), metadata })).text()).toBe(
    await first.text(),
  );
});

test('an account that accepts many organizations is returned to a retry as it was', async () => {
  const acceptsFrom = Array.from({ length: 100 }, (_, i) => `${i}`.padStart(200, '\u0001'));
  const first = await open('accepting', { acceptsFrom });
  expect(first.status).toBe(201);
  const text = await first.text();
  const { id } = JSON.parse(text) as AccountResource;
  const change = { json: { acceptsFrom: null }, headers: { 'If-Match': '*' } };
  expect((await atlas.call('PATCH', `/v1/accounts/${id}`, change)).status).toBe(200);
  expect(await (await open('accepting', { acceptsFrom })).text()).toBe(text);
});

test('a webhook is returned to a retry even if its target can no longer be resolved', async () => {
  const webhook = { url: 'http://127.0.0.1:9/' };
  const first = await post('/v1/webhooks', 'resolved', webhook);
  expect(first.status).toBe(201);
  const check = spyOn(atlas.deps.outgoing, 'check').mockRejectedValue(new Error('the name server is down'));
  const again = await post('/v1/webhooks', 'resolved', webhook);
  check.mockRestore();
  expect(await again.text()).toBe(await first.text());
});

test('a retried upload leaves nothing behind, whether its bytes are the same or others', async () => {
  const [objects, rows] = [await atlas.objectIds(), await atlas.rows()];
  const first = await upload('bytes', 'some text');
  const { id } = (await first.json()) as FileResource;
  const after = [[...objects, id].sort(), { ...rows, [id]: 'stored' }];
  const again = await upload('bytes', 'some text');
  expect([again.status, isReplayed(again)]).toEqual([201, true]);
  expect(((await again.json()) as FileResource).id).toBe(id);
  await expectProblem(atlas, await upload('bytes', 'other text'), 422, 'idempotency_key_reused');
  const named = await upload('bytes', 'some text', { 'Content-Disposition': 'attachment; filename="a.txt"' });
  await expectProblem(atlas, named, 422, 'idempotency_key_reused');
  expect<unknown[]>([await atlas.objectIds(), await atlas.rows()]).toEqual(after);
});

test('an upload that was refused can be sent again with the same key', async () => {
  const digest = `sha-256=:${Buffer.from(sha256Of(Buffer.from('other')), 'hex').toString('base64')}:`;
  const refused = await upload('refused', 'some text', { 'Repr-Digest': digest });
  await expectProblem(atlas, refused, 422, 'checksum_mismatch');
  expect((await upload('refused', 'some text')).status).toBe(201);
});

test('a link is not returned for a file that was deleted since', async () => {
  const { id } = (await (await upload('linked', 'linked text')).json()) as FileResource;
  const link = () => post(`/v1/files/${id}/link`, 'link', {});
  const first = await (await link()).text();
  expect(await (await link()).text()).toBe(first);
  expect((await atlas.call('DELETE', `/v1/files/${id}`)).status).toBe(204);
  await expectProblem(atlas, await link(), 404, 'file_not_found');
});

test('a key that belongs to one route is refused by another', async () => {
  expect((await open('route', {})).status).toBe(201);
  await expectProblem(atlas, await upload('route', 'text'), 422, 'idempotency_key_reused');
  const webhook = await post('/v1/webhooks', 'route', { url: 'http://127.0.0.1:9/' });
  await expectProblem(atlas, webhook, 422, 'idempotency_key_reused');
});

const put = (path: string, key: string, json?: object) =>
  atlas.call('PUT', path, { ...(json && { json }), headers: { 'Idempotency-Key': key } });
const ORGANIZATION = '/v1/operator/organizations/retried';

test('a retry does not suspend an organization again that was reinstated, and does not say that it did', async () => {
  await put(ORGANIZATION, 'retried', { name: 'Retried' });
  const suspend = () => put(`${ORGANIZATION}/suspension`, 'suspend');
  const first = await (await suspend()).json();
  expect(first).toMatchObject({ suspendedAt: expect.any(String) });
  expect(await (await suspend()).json()).toEqual(first);
  const reinstated = await (await atlas.call('DELETE', `${ORGANIZATION}/suspension`)).json();
  const again = await suspend();
  expect([again.status, isReplayed(again)]).toEqual([200, true]);
  expect(await again.json()).toEqual(reinstated);
  expect(await (await atlas.call('GET', ORGANIZATION)).json()).toEqual(reinstated);
});

test('a retry does not rename an organization again that got another name since', async () => {
  const created = await put(ORGANIZATION.replace('retried', 'renamed'), 'rename', { name: 'First' });
  expect(created.status).toBe(201);
  const renamed = await put(ORGANIZATION.replace('retried', 'renamed'), 'rename-again', { name: 'Second' });
  const again = await put(ORGANIZATION.replace('retried', 'renamed'), 'rename', { name: 'First' });
  expect([again.status, isReplayed(again)]).toEqual([201, true]);
  expect(await again.json()).toEqual(await renamed.json());
});

test('a retry does not set a quota again that was reset, and returns the default', async () => {
  await put(ORGANIZATION, 'limited', { name: 'Limited' });
  const path = '/v1/operator/quotas/organization/retried';
  const set = () => put(path, 'quota', { requestsPerSecond: 5, burst: 0, concurrentRequests: null });
  expect(await (await set()).json()).toMatchObject({ requestsPerSecond: 5 });
  expect((await atlas.call('DELETE', path)).status).toBe(204);
  const standard = await (await atlas.call('GET', path)).json();
  const again = await set();
  expect([again.status, isReplayed(again)]).toEqual([200, true]);
  expect(await again.json()).toEqual(standard);
  expect(await (await atlas.call('GET', path)).json()).toEqual(standard);
});
