import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { freshDatabase } from '../../support/database.ts';
import {
  availableStores,
  type FileResource,
  type FilesApp,
  gzipLike,
  inPieces,
  MIB,
  reprDigestOf,
  sha256Of,
  startFilesApp,
  uploadFile,
} from '../../support/file-steps.ts';
import { START_TIMEOUT_MS } from '../../support/test-app.ts';
import { expectProblem } from '../problem-assertions.ts';

const SIZE_MAX = 4 * MIB;

beforeAll(() => freshDatabase(), START_TIMEOUT_MS);

describe.each(availableStores())('files in the %s', (kind) => {
  let atlas: FilesApp;
  beforeAll(async () => {
    atlas = await startFilesApp(kind, { FILES_MAX_BYTES: String(SIZE_MAX) });
  }, START_TIMEOUT_MS);
  afterAll(() => atlas.close());

  /** Runs a request that must leave nothing behind: no row, no object, no event. */
  async function expectNothingStored(rejected: () => Promise<unknown>): Promise<void> {
    const stored = async () => ({
      rows: await atlas.rows(),
      objects: await atlas.objectIds(),
      events: (await atlas.sql`SELECT count(*) AS count FROM outbox WHERE type LIKE 'file.%'`)[0]!.count,
    });
    const before = await stored();
    await rejected();
    expect(await stored()).toEqual(before);
  }

  test.each([1, 3, MIB - 1, MIB, MIB + 1, 3 * MIB + 5])(
    'of %d bytes are downloaded as they were uploaded',
    async (size) => {
      const bytes = size < 3 ? Buffer.alloc(size, 'a') : gzipLike(size);
      const file = await uploadFile(atlas, bytes);
      expect(file).toMatchObject({ state: 'stored', sizeBytes: size, sha256: sha256Of(bytes) });
      const response = await atlas.call('GET', `/v1/files/${file.id}/content`);
      expect(response.status).toBe(200);
      expect(Buffer.compare(Buffer.from(await response.bytes()), bytes)).toBe(0);
    },
  );

  test('may be uploaded in chunks without a length', async () => {
    const bytes = gzipLike(2 * MIB + 17);
    const body = inPieces(bytes, 10_007);
    const response = await atlas.call('POST', '/v1/files', { body });
    const { id, sha256 } = (await response.json()) as FileResource;
    expect({ status: response.status, sha256 }).toEqual({ status: 201, sha256: sha256Of(bytes) });
    const read = await atlas.call('GET', `/v1/files/${id}/content`);
    expect(Buffer.compare(Buffer.from(await read.bytes()), bytes)).toBe(0);
  });

  test('have accurate metadata and a Location', async () => {
    const response = await atlas.call('POST', '/v1/files?name=report%20%C3%A9.csv', {
      body: 'a,b\n1,2\n',
      headers: { 'Content-Type': 'text/csv; charset=utf-8' },
    });
    const file = (await response.json()) as FileResource;
    expect(file).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      state: 'stored',
      name: 'report é.csv',
      mediaType: 'text/csv',
      sizeBytes: 8,
      sha256: sha256Of(Buffer.from('a,b\n1,2\n')),
      createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    });
    expect(response.headers.get('location')).toBe(`/v1/files/${file.id}`);
    const read = await atlas.call('GET', `/v1/files/${file.id}`);
    expect(await read.json()).toEqual(file);
    expect(read.headers.get('etag')).toBe(response.headers.get('etag'));
    const again = await atlas.call('GET', `/v1/files/${file.id}`, {
      headers: { 'If-None-Match': read.headers.get('etag')! },
    });
    expect(again.status).toBe(304);
  });

  test('are saved by browsers, not run or displayed', async () => {
    const { id } = await uploadFile(atlas, 'alert(1)', {
      'Content-Disposition': "attachment; filename*=UTF-8''..%2F..%2Fe%22vil%E2%80%AE.txt",
    });
    const { headers } = await atlas.call('GET', `/v1/files/${id}/content`);
    expect(headers.get('content-disposition')).toBe(
      'attachment; filename="e_vil.txt"; filename*=UTF-8\'\'e_vil.txt',
    );
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('content-security-policy')).toContain('sandbox');
    expect(headers.get('cache-control')).toContain('private');
  });

  test('of a type that is not accepted are rejected, whatever their name', async () => {
    for (const [body, type] of [
      ['<!doctype html><script>alert(1)</script>', undefined],
      ['<svg xmlns="http://www.w3.org/2000/svg"/>', 'image/png'],
      ['plain', 'text/html'],
      ['plain', 'application/javascript'],
      ['plain', 'application/pdf'],
      [Buffer.from('7f454c4602010100', 'hex'), undefined],
      [Buffer.from('a\0b'), 'text/plain'],
      [gzipLike(100), 'application/zip'],
    ] as const) {
      await expectNothingStored(async () => {
        const headers: Record<string, string> = type ? { 'Content-Type': type } : {};
        const response = await atlas.call('POST', '/v1/files?name=x.pdf', {
          body: body as BodyInit,
          headers,
        });
        await expectProblem(atlas, response, 415, 'file_type_refused');
      });
    }
  });

  test('in a form are refused with what to send instead', async () => {
    for (const type of ['multipart/form-data; boundary=x', 'application/x-www-form-urlencoded']) {
      const headers = { 'Content-Type': type };
      const response = await atlas.call('POST', '/v1/files?name=x.txt', { body: 'plain', headers });
      const { detail } = await expectProblem(atlas, response, 415, 'file_type_refused');
      expect(detail).toStartWith('The body must be the file itself,');
    }
  });

  test('that do not match their checksum are not stored', async () => {
    const bytes = gzipLike(MIB + 3);
    for (const name of ['Repr-Digest', 'Content-Digest']) {
      const right = await uploadFile(atlas, bytes, { [name]: reprDigestOf(bytes) });
      expect(right.sha256).toBe(sha256Of(bytes));
      await expectNothingStored(async () => {
        const headers = { [name]: reprDigestOf(gzipLike(5)) };
        const response = await atlas.call('POST', '/v1/files', { body: bytes, headers });
        await expectProblem(atlas, response, 422, 'checksum_mismatch');
      });
      const unreadable = { [name]: 'sha-256=abc' };
      const response = await atlas.call('POST', '/v1/files', { body: bytes, headers: unreadable });
      await expectProblem(atlas, response, 400, 'invalid_request', [`/headers/${name}`]);
    }
  });

  test('that are too large are rejected, with or without a declared length', async () => {
    const bytes = gzipLike(SIZE_MAX + 1);
    await expectNothingStored(async () => {
      await expectProblem(
        atlas,
        await atlas.call('POST', '/v1/files', { body: bytes }),
        413,
        'body_too_large',
      );
      const body = inPieces(bytes, 65_536);
      await expectProblem(atlas, await atlas.call('POST', '/v1/files', { body }), 413, 'body_too_large');
    });
    expect((await uploadFile(atlas, bytes.subarray(0, SIZE_MAX))).sizeBytes).toBe(SIZE_MAX);
  });

  test('that are truncated or empty are not stored', async () => {
    await expectNothingStored(async () => {
      let sent = 0;
      const torn = new ReadableStream<Uint8Array>({
        pull(controller) {
          if (sent++ < 20) controller.enqueue(gzipLike(65_536));
          else controller.error(new Error('connection reset'));
        },
      });
      await expectProblem(
        atlas,
        await atlas.call('POST', '/v1/files', { body: torn }),
        499,
        'request_aborted',
      );
      await expectProblem(atlas, await atlas.call('POST', '/v1/files'), 400, 'body_missing');
      const empty = inPieces(new Uint8Array(), 1);
      await expectProblem(atlas, await atlas.call('POST', '/v1/files', { body: empty }), 400, 'body_missing');
    });
  });

  test('are private to their owner', async () => {
    const { id } = await uploadFile(atlas, 'secret');
    const headers = { Authorization: `Bearer ${await atlas.key(undefined, 'somebody else')}` };
    for (const [method, path] of [
      ['GET', ''],
      ['GET', '/content'],
      ['POST', '/complete'],
      ['POST', '/link'],
      ['DELETE', ''],
    ] as const) {
      const response = await atlas.call(method, `/v1/files/${id}${path}`, { headers });
      await expectProblem(atlas, response, 404, 'file_not_found');
    }
    const list = (await (await atlas.call('GET', '/v1/files', { headers })).json()) as { files: unknown[] };
    expect(list.files).toEqual([]);
    expect(await (await atlas.call('GET', `/v1/files/${id}/content`)).text()).toBe('secret');
  });

  test('lose their row and their object when they are deleted', async () => {
    const { id } = await uploadFile(atlas, 'gone soon');
    expect((await atlas.call('DELETE', `/v1/files/${id}`)).status).toBe(204);
    for (const path of ['', '/content'])
      await expectProblem(atlas, await atlas.call('GET', `/v1/files/${id}${path}`), 404, 'file_not_found');
    await expectProblem(atlas, await atlas.call('DELETE', `/v1/files/${id}`), 404, 'file_not_found');
    expect(Object.keys(await atlas.rows())).not.toContain(id);
    expect(await atlas.objectIds()).not.toContain(id);
  });

  test('emit events when they are stored and when they are deleted', async () => {
    const file = await uploadFile(atlas, '{"a": 1}', { 'Content-Type': 'application/json' });
    await atlas.call('DELETE', `/v1/files/${file.id}`);
    const events = await atlas.sql`
      SELECT owner, type, sequence, data FROM outbox WHERE key = ${file.id} ORDER BY id`;
    const { id, name, mediaType, sizeBytes, sha256 } = file;
    expect([...events]).toEqual([
      {
        owner: 'owner',
        type: 'file.stored.v1',
        sequence: 1,
        data: { fileId: id, name, mediaType, sizeBytes, sha256 },
      },
      { owner: 'owner', type: 'file.deleted.v1', sequence: 2, data: { fileId: id } },
    ]);
  });

  test('are listed once each, oldest first', async () => {
    const headers = { Authorization: `Bearer ${await atlas.key(undefined, 'lister')}` };
    const uploaded: string[] = [];
    for (let i = 0; i < 5; i++) uploaded.push((await uploadFile(atlas, `file ${i}`, headers)).id);
    const seen: string[] = [];
    let path: string | null = '/v1/files?limit=2';
    while (path !== null) {
      const response = await atlas.call('GET', path, { headers });
      const page = (await response.json()) as { files: FileResource[]; nextCursor: string | null };
      seen.push(...page.files.map(({ id }) => id));
      path = /^<([^>]+)>; rel="next"$/.exec(response.headers.get('link') ?? '')?.[1] ?? null;
      expect(path === null).toBe(page.nextCursor === null);
    }
    expect(seen).toEqual(uploaded);
  });
});
