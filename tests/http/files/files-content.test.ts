import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { freshDatabase } from '../../support/database.ts';
import {
  availableStores,
  type FileResource,
  type FilesApp,
  gzipLike,
  MIB,
  reprDigestOf,
  startFilesApp,
  uploadFile,
} from '../../support/file-steps.ts';
import { START_TIMEOUT_MS } from '../../support/test-app.ts';
import { createUser } from '../../support/user-steps.ts';
import { expectProblem } from '../problem-assertions.ts';

beforeAll(() => freshDatabase(), START_TIMEOUT_MS);

/** Flips a bit of one byte. */
const flip = (position: number) => (bytes: Buffer) => {
  bytes[position]! ^= 1;
  return bytes;
};

describe.each(availableStores())('the content of files in the %s', (kind) => {
  const bytes = gzipLike(2 * MIB + 1000);
  let atlas: FilesApp;
  let file: FileResource;
  let etag: string;
  beforeAll(async () => {
    atlas = await startFilesApp(kind);
    file = await uploadFile(atlas, bytes);
    etag = `"${file.sha256}"`;
  }, START_TIMEOUT_MS);
  afterAll(() => atlas.close());

  const get = (headers: Record<string, string> = {}, method = 'GET', id = file.id) =>
    atlas.call(method, `/v1/files/${id}/content`, { headers });

  test('is sent with its type, version and digest', async () => {
    const { status, headers, body } = await get();
    await body!.cancel();
    expect({
      status,
      type: headers.get('content-type'),
      etag: headers.get('etag'),
      ranges: headers.get('accept-ranges'),
      digest: headers.get('repr-digest'),
    }).toEqual({
      status: 200,
      type: 'application/gzip',
      etag,
      ranges: 'bytes',
      digest: reprDigestOf(bytes),
    });
  });

  test('does not stay in the browser of a person, and programs may keep and revalidate it', async () => {
    const { token } = await createUser(atlas, { organization: 'owner' });
    const caching = async (headers: Record<string, string>) => {
      const response = await atlas.fetch(
        new Request(`http://atlas.test/v1/files/${file.id}/content`, {
          headers: { Host: 'atlas.test', ...headers },
        }),
      );
      await response.body?.cancel();
      return [response.status, response.headers.get('cache-control')];
    };
    const cookie = { Cookie: `__Host-atlas_session=${token}` };
    expect(await caching(cookie)).toEqual([200, 'no-store, no-transform']);
    expect(await caching({ ...cookie, Range: 'bytes=0-0' })).toEqual([206, 'no-store, no-transform']);
    expect(await caching({ ...cookie, 'If-None-Match': etag })).toEqual([304, 'no-store, no-transform']);
    expect(await caching({ Authorization: `Bearer ${token}` })).toEqual([
      200,
      'private, no-cache, no-transform',
    ]);
  });

  test.each([
    ['bytes=0-0', 0, 0],
    ['bytes=0-1023', 0, 1023],
    [`bytes=${MIB - 1}-${MIB}`, MIB - 1, MIB],
    [`bytes=${MIB}-${2 * MIB - 1}`, MIB, 2 * MIB - 1],
    [`bytes=${2 * MIB + 999}-`, 2 * MIB + 999, 2 * MIB + 999],
    ['bytes=-1500', 2 * MIB + 1000 - 1500, 2 * MIB + 999],
    ['bytes=10-99999999999', 10, 2 * MIB + 999],
    ['bytes=-99999999999', 0, 2 * MIB + 999],
  ])('is a partial response for %s', async (range, first, last) => {
    const response = await get({ Range: range });
    expect({ status: response.status, range: response.headers.get('content-range') }).toEqual({
      status: 206,
      range: `bytes ${first}-${last}/${bytes.byteLength}`,
    });
    expect(Buffer.compare(Buffer.from(await response.bytes()), bytes.subarray(first, last + 1))).toBe(0);
  });

  test.each(['bytes=5-2', 'bytes=-', 'bytes=a-b', 'lines=1-2', 'bytes=0-1,5-6', 'bytes'])(
    'is a full response for %s',
    async (range) => {
      const response = await get({ Range: range });
      expect(response.status).toBe(200);
      expect(response.headers.has('content-range')).toBe(false);
      expect((await response.bytes()).byteLength).toBe(bytes.byteLength);
    },
  );

  test.each(['bytes=2098152-', 'bytes=99999999-999999999', 'bytes=-0'])(
    'is a 416 for %s, with the actual size',
    async (range) => {
      const response = await get({ Range: range });
      expect(response.headers.get('content-range')).toBe(`bytes */${bytes.byteLength}`);
      await expectProblem(atlas, response, 416, 'range_not_satisfiable');
    },
  );

  test('is a partial response only for the version in If-Range', async () => {
    const statusFor = async (ifRange: string) => {
      const response = await get({ Range: 'bytes=0-9', 'If-Range': ifRange });
      await response.body!.cancel();
      return response.status;
    };
    expect(await statusFor(etag)).toBe(206);
    for (const other of ['"other"', `W/${etag}`, 'Sat, 21 Nov 2026 10:00:00 GMT'])
      expect(await statusFor(other)).toBe(200);
  });

  test('is not sent to a client that has it', async () => {
    for (const known of [etag, `W/${etag}`, `"a", ${etag}`, '*']) {
      const response = await get({ 'If-None-Match': known });
      expect({ status: response.status, etag: response.headers.get('etag') }).toEqual({ status: 304, etag });
      expect(await response.text()).toBe('');
    }
    const other = await get({ 'If-None-Match': '"other"' });
    expect(other.status).toBe(200);
    await other.body!.cancel();
  });

  test('is described by HEAD without being opened', async () => {
    const response = await get({ Range: 'bytes=0-9' }, 'HEAD');
    expect({ status: response.status, length: response.headers.get('content-length') }).toEqual({
      status: 200,
      length: String(bytes.byteLength),
    });
    expect(await response.text()).toBe('');
    expect(atlas.files.stats.downloadsInFlight).toBe(0);
  });

  test('is a 502 without a byte when its start is corrupt', async () => {
    const { id } = await uploadFile(atlas, bytes);
    await atlas.spoil(id, flip(500));
    await expectProblem(atlas, await get({}, 'GET', id), 502, 'file_corrupt');
    await expectProblem(atlas, await get({ Range: 'bytes=0-9' }, 'GET', id), 502, 'file_corrupt');
    // Intact chunks are still delivered.
    const rest = await get({ Range: `bytes=${MIB}-` }, 'GET', id);
    expect(Buffer.compare(Buffer.from(await rest.bytes()), bytes.subarray(MIB))).toBe(0);
    expect(atlas.logs.some((line) => line.includes(id) && line.includes('damaged'))).toBe(true);
    expect(await (await atlas.call('GET', '/metrics')).text()).toMatch(
      /atlas_files_corrupt_chunks_total [1-9]/,
    );
  });

  test('is cut before the first corrupt chunk', async () => {
    const { id } = await uploadFile(atlas, bytes);
    await atlas.spoil(id, flip(MIB + 7));
    const response = await get({}, 'GET', id);
    expect(response.status).toBe(200);
    const got: Uint8Array[] = [];
    const read = async () => {
      for await (const piece of response.body!) got.push(piece);
    };
    await expect(read()).rejects.toThrow();
    expect(Buffer.compare(Buffer.concat(got), bytes.subarray(0, MIB))).toBe(0);
    expect(atlas.files.stats.downloadsInFlight).toBe(0);
  });

  test.each([
    ['is truncated', (whole: Buffer) => whole.subarray(0, MIB + 5)],
    ['is empty', () => Buffer.alloc(0)],
    ['has other content', () => gzipLike(2 * MIB + 1000)],
  ])('is never delivered corrupt when its object %s', async (_what, change) => {
    const { id } = await uploadFile(atlas, bytes);
    await atlas.spoil(id, change);
    const response = await get({}, 'GET', id);
    if (response.status !== 200) return expectProblem(atlas, response, 502, 'file_corrupt');
    await expect(response.bytes()).rejects.toThrow();
  });

  test('is a 502, not a 404, when its object is missing', async () => {
    const { id } = await uploadFile(atlas, bytes);
    await atlas.lose(id);
    await expectProblem(atlas, await get({}, 'GET', id), 502, 'file_corrupt');
  });

  test('is aborted when the client stops reading', async () => {
    const response = await get();
    const reader = response.body!.getReader();
    await reader.read();
    expect(atlas.files.stats.downloadsInFlight).toBe(1);
    await reader.cancel();
    expect(atlas.files.stats.downloadsInFlight).toBe(0);
  });

  test('is a 429 at the limit of downloads of an owner and of all, and only then', async () => {
    const open: Response[] = [];
    // Each owner gets half of what is left, and the last one what is left.
    for (const share of [32, 16, 8, 4, 2, 1, 1]) {
      const Authorization = `Bearer ${await atlas.key(undefined, `owner of ${open.length}`)}`;
      const { id } = await uploadFile(atlas, bytes, { Authorization });
      const opened = await Promise.all(
        Array.from({ length: share }, () => get({ Authorization }, 'GET', id)),
      );
      expect(opened.map(({ status }) => status)).toEqual(Array(share).fill(200));
      open.push(...opened);
      const refused = await get({ Authorization }, 'GET', id);
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
      await expectProblem(atlas, refused, 429, 'overloaded');
    }
    expect(open).toHaveLength(64);
    await Promise.all(open.map(({ body }) => body!.cancel()));
    const again = await get();
    expect(again.status).toBe(200);
    await again.body!.cancel();
  });
});
