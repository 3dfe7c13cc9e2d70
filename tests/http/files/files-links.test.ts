import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { freshDatabase } from '../../support/database.ts';
import {
  availableStores,
  type FileResource,
  type FilesApp,
  gzipLike,
  MIB,
  sha256Of,
  startFilesApp,
  uploadFile,
} from '../../support/file-steps.ts';
import { callWithoutKey, START_TIMEOUT_MS } from '../../support/test-app.ts';
import { expectProblem } from '../problem-assertions.ts';

interface Announced {
  readonly file: FileResource;
  readonly upload: {
    readonly method: string;
    readonly url: string;
    readonly headers: Record<string, string>;
    readonly expiresAt: string;
  };
}

beforeAll(() => freshDatabase(), START_TIMEOUT_MS);

describe.each(availableStores())('links to files in the %s', (kind) => {
  let atlas: FilesApp;
  beforeAll(async () => {
    atlas = await startFilesApp(kind);
  }, START_TIMEOUT_MS);
  afterAll(() => atlas.close());

  const announcing = (json: unknown) => atlas.call('POST', '/v1/files/uploads', { json });
  async function initiate(bytes: Uint8Array, changes: object = {}): Promise<Announced> {
    const response = await announcing({
      name: 'a.gz',
      mediaType: 'application/gzip',
      sizeBytes: bytes.byteLength,
      sha256: sha256Of(bytes),
      ...changes,
    });
    expect(response.status).toBe(201);
    return (await response.json()) as Announced;
  }

  /** Follows a link without an API key, to Atlas or to the object store. */
  async function follow(url: string, method = 'GET', init: RequestInit = {}): Promise<Response> {
    if (!url.startsWith('/')) return fetch(url, { method, ...init });
    const headers = new Headers(init.headers);
    headers.set('Host', 'atlas.test');
    return atlas.fetch(new Request(`http://atlas.test${url}`, { method, ...init, headers }));
  }
  const send = ({ upload }: Announced, bytes: Uint8Array) =>
    follow(upload.url, upload.method, { headers: upload.headers, body: bytes as BodyInit });
  const complete = ({ file }: Announced) => atlas.call('POST', `/v1/files/${file.id}/complete`);

  test('accept the declared bytes, which become a file once the upload is completed', async () => {
    const bytes = gzipLike(2 * MIB + 9);
    const initiated = await initiate(bytes, { name: '../../e\u202Evil.gz' });
    const { id } = initiated.file;
    expect(initiated.file).toMatchObject({ state: 'uploading', name: 'evil.gz', sha256: sha256Of(bytes) });
    expect(Date.parse(initiated.upload.expiresAt)).toBeGreaterThan(Date.now());
    expect(await (await atlas.call('GET', `/v1/files/${id}`)).json()).toEqual(initiated.file);
    await expectProblem(atlas, await atlas.call('GET', `/v1/files/${id}/content`), 409, 'file_incomplete');
    await expectProblem(atlas, await complete(initiated), 409, 'file_incomplete');

    expect((await send(initiated, bytes)).ok).toBe(true);
    const [first, again] = [await complete(initiated), await complete(initiated)];
    expect([first.status, again.status]).toEqual([200, 200]);
    const file = (await first.json()) as FileResource;
    expect(file).toEqual({ ...initiated.file, state: 'stored' });
    expect(await again.json()).toEqual(file);
    const read = await atlas.call('GET', `/v1/files/${id}/content`);
    expect(Buffer.compare(Buffer.from(await read.bytes()), bytes)).toBe(0);
    const told = await atlas.sql`SELECT type FROM outbox WHERE key = ${id}`;
    expect(told.map(({ type }) => type)).toEqual(['file.stored.v1']);
  });

  test('accept no other bytes', async () => {
    const bytes = gzipLike(1000);
    const initiated = await initiate(bytes);
    for (const other of [gzipLike(1000), bytes.subarray(0, 999), Buffer.concat([bytes, bytes])])
      expect((await send(initiated, other)).ok).toBe(false);
    await expectProblem(atlas, await complete(initiated), 409, 'file_incomplete');
    expect(await atlas.objectIds()).not.toContain(initiated.file.id);
    expect((await send(initiated, bytes)).ok).toBe(true);
    expect((await complete(initiated)).status).toBe(200);
  });

  test('are invalid after a single changed character', async () => {
    const bytes = gzipLike(10);
    const initiated = await initiate(bytes);
    const { url } = initiated.upload;
    const changed = url.slice(0, -1) + (url.endsWith('0') ? '1' : '0');
    expect((await send({ ...initiated, upload: { ...initiated.upload, url: changed } }, bytes)).status).toBe(
      403,
    );
    expect((await follow(url)).status).toBe(403);
  });

  test('do not store a file of another type, and retain nothing of it', async () => {
    const page = Buffer.from('<html><script>alert(1)</script>');
    const initiated = await initiate(page, { mediaType: 'text/plain' });
    expect((await send(initiated, page)).ok).toBe(true);
    await expectProblem(atlas, await complete(initiated), 415, 'file_type_refused');
    expect(Object.keys(await atlas.rows())).not.toContain(initiated.file.id);
    expect(await atlas.objectIds()).not.toContain(initiated.file.id);
  });

  test('are not issued for uploads that would be rejected', async () => {
    const good = { name: 'a', mediaType: 'text/plain', sizeBytes: 1, sha256: '0'.repeat(64) };
    for (const bad of [
      { sizeBytes: 0 },
      { sizeBytes: 5_368_709_121 },
      { sha256: 'F'.repeat(64) },
      { name: '' },
      { mediaType: 'text/html' },
      { mediaType: 'application/octet-stream' },
    ])
      await expectProblem(atlas, await announcing({ ...good, ...bad }), 400, 'invalid_request', [
        `/${Object.keys(bad)[0]}`,
      ]);
  });

  test('stop working once the upload is deleted', async () => {
    const bytes = gzipLike(50);
    const initiated = await initiate(bytes);
    expect((await atlas.call('DELETE', `/v1/files/${initiated.file.id}`)).status).toBe(204);
    await expectProblem(atlas, await complete(initiated), 404, 'file_not_found');
    // S3 still accepts the bytes, as an orphan that the reconciler removes.
    await send(initiated, bytes);
    await atlas.files.sweep(-60_000);
    expect(await atlas.objectIds()).not.toContain(initiated.file.id);
    expect(await atlas.sql`SELECT FROM outbox WHERE key = ${initiated.file.id}`).toHaveLength(0);
  });

  test('serve the bytes of a file to anyone who has one', async () => {
    const bytes = gzipLike(MIB + 100);
    const { id, sha256 } = await uploadFile(atlas, bytes, {
      'Content-Disposition': 'attachment; filename="statement.gz"',
    });
    const response = await atlas.call('POST', `/v1/files/${id}/link`);
    const link = (await response.json()) as { url: string; expiresAt: string; sha256: string };
    expect(link).toMatchObject({ sha256, sizeBytes: bytes.byteLength });
    const download = await follow(link.url);
    expect(download.headers.get('content-disposition')).toContain('filename="statement.gz"');
    expect(Buffer.compare(Buffer.from(await download.bytes()), bytes)).toBe(0);
    const part = await follow(link.url, 'GET', { headers: { Range: 'bytes=100-199' } });
    expect(Buffer.compare(Buffer.from(await part.bytes()), bytes.subarray(100, 200))).toBe(0);
  });

  test('are limited per owner', async () => {
    const headers = { Authorization: `Bearer ${await atlas.key(undefined, 'hoarder')}` };
    const json = { name: 'a', mediaType: 'text/plain', sizeBytes: 1, sha256: '0'.repeat(64) };
    const asked = await Promise.all(
      Array.from({ length: 110 }, () => atlas.call('POST', '/v1/files/uploads', { json, headers })),
    );
    const statuses = asked.map(({ status }) => status);
    expect(statuses.filter((status) => status === 201)).toHaveLength(100);
    await expectProblem(atlas, asked.find(({ status }) => status === 429)!, 429, 'overloaded');
    // Other owners are not affected.
    expect((await announcing(json)).status).toBe(201);
    // Expired uploads do not count.
    await atlas.sql`UPDATE files SET expires_at = now() WHERE owner = 'hoarder'`;
    expect((await atlas.call('POST', '/v1/files/uploads', { json, headers })).status).toBe(201);
  });
});

test('without a signature, Atlas serves no object', async () => {
  const atlas = await startFilesApp('directory');
  const { id } = await uploadFile(atlas, 'secret');
  const [row] = await atlas.sql`SELECT realm FROM object_realm`;
  const path = `/v1/objects/files/${row!.realm}/${id}`;
  for (const query of ['', '?signature=', '?expires=9999999999&signature=00'])
    await expectProblem(atlas, await callWithoutKey(atlas, 'GET', path + query), 403, 'link_invalid');
  await expectProblem(atlas, await atlas.call('GET', path), 403, 'link_invalid');
  const put = await atlas.call('PUT', path, { body: 'secret' });
  await expectProblem(atlas, put, 403, 'link_invalid');
  await atlas.close();
});
