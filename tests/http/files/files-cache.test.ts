import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { RedisCache } from '../../../src/adapters/cache/redis-cache.ts';
import { openRedis } from '../../../src/adapters/redis/redis.ts';
import { type App, createApp } from '../../../src/app.ts';
import { freshDatabase } from '../../support/database.ts';
import {
  type FileResource,
  type FilesApp,
  gzipLike,
  sha256Of,
  startFilesApp,
  uploadFile,
} from '../../support/file-steps.ts';
import { isRedisHere, startTestRedis, type TestRedis } from '../../support/redis.ts';
import { START_TIMEOUT_MS } from '../../support/test-app.ts';

// Metadata is cached in Redis, where it must neither outlive the file nor be visible to other owners.
describe.if(isRedisHere())('cached metadata of a file', () => {
  let redis: TestRedis;
  let files: FilesApp;
  let atlas: App & Pick<FilesApp, 'call'>;
  let cache: RedisCache;
  beforeAll(async () => {
    await freshDatabase();
    redis = await startTestRedis();
    cache = new RedisCache({
      redis: openRedis({ url: redis.url, timeoutMs: 1000, onError: () => {} }),
      prefix: 'files-test',
      timeoutMs: 1000,
      failureThreshold: 5,
      recoveryTimeoutMs: 1000,
    });
    files = await startFilesApp('directory');
    const key = await files.key();
    const app = createApp({ ...files.deps, cache });
    const call: FilesApp['call'] = async (method, path, { json, body, headers } = {}) =>
      app.fetch(
        new Request(`http://atlas.test${path}`, {
          method,
          headers: {
            Host: 'atlas.test',
            Authorization: `Bearer ${key}`,
            ...(json !== undefined && { 'Content-Type': 'application/json' }),
            ...headers,
          },
          body: json === undefined ? (body ?? null) : JSON.stringify(json),
        }),
      );
    atlas = { ...app, call };
  }, START_TIMEOUT_MS);
  afterAll(async () => {
    await files.close();
    cache.close();
    await redis.stop();
  });

  const statusOf = async (id: string, headers = {}) =>
    (await atlas.call('GET', `/v1/files/${id}`, { headers })).status;
  const hits = () => atlas.caches.find(({ name }) => name === 'file.v1')!.stats.hits;

  /** Uploads a file, and reads it until it comes from the cache. */
  async function cachedFile(): Promise<FileResource> {
    const file = await uploadFile(atlas as FilesApp, 'cached');
    const before = hits();
    expect(await statusOf(file.id)).toBe(200);
    expect(await statusOf(file.id)).toBe(200);
    expect(hits()).toBe(before + 1);
    return file;
  }

  test('is not visible to another owner', async () => {
    const { id } = await cachedFile();
    const Authorization = `Bearer ${await files.key(undefined, 'stranger')}`;
    expect(await statusOf(id, { Authorization })).toBe(404);
    const read = await atlas.call('GET', `/v1/files/${id}/content`, { headers: { Authorization } });
    expect(read.status).toBe(404);
  });

  test('stays when another owner tries to delete the file', async () => {
    const { id } = await cachedFile();
    const Authorization = `Bearer ${await files.key(undefined, 'eraser')}`;
    const response = await atlas.call('DELETE', `/v1/files/${id}`, { headers: { Authorization } });
    expect(response.status).toBe(404);
    const before = hits();
    expect(await statusOf(id)).toBe(200);
    expect(hits()).toBe(before + 1);
  });

  test.each([
    { sha256: null },
    { sizeBytes: null },
    { sizeBytes: 0 },
    { mediaType: 'text/html\r\nX-Other: 1' },
  ])('is read again if it says %j, which no stored file has', async (change) => {
    const file = await cachedFile();
    const entry = JSON.parse((await cache.get(`file.v1:${file.id}`))!);
    entry.value = { ...entry.value, ...change };
    await cache.set(`file.v1:${file.id}`, JSON.stringify(entry), 60_000);
    const download = await atlas.call('GET', `/v1/files/${file.id}/content`);
    expect([download.status, await download.text()]).toEqual([200, 'cached']);
  });

  test('is evicted with the file', async () => {
    const { id } = await cachedFile();
    expect((await atlas.call('DELETE', `/v1/files/${id}`)).status).toBe(204);
    expect(await statusOf(id)).toBe(404);
  });

  test('is evicted when a deletion whose response was lost is repeated, and no byte is readable before', async () => {
    const { id } = await cachedFile();
    // The state left by a worker that died after its commit.
    await files.sql`UPDATE files SET state = 'deleting' WHERE id = ${id}`;
    expect((await atlas.call('GET', `/v1/files/${id}/content`)).status).toBe(404);
    expect((await atlas.call('DELETE', `/v1/files/${id}`)).status).toBe(404);
    expect(await statusOf(id)).toBe(404);
  });

  test('is not cached while the file is being uploaded', async () => {
    const bytes = gzipLike(100);
    const json = { name: 'a', mediaType: 'application/gzip', sizeBytes: 100, sha256: sha256Of(bytes) };
    const initiated = (await (await atlas.call('POST', '/v1/files/uploads', { json })).json()) as {
      file: FileResource;
      upload: { url: string; headers: Record<string, string> };
    };
    const { id } = initiated.file;
    for (let reads = 0; reads < 2; reads++) expect(await statusOf(id)).toBe(200);
    const { url, headers } = initiated.upload;
    expect((await atlas.call('PUT', url, { body: bytes, headers })).status).toBe(204);
    expect((await atlas.call('POST', `/v1/files/${id}/complete`)).status).toBe(200);
    const read = await atlas.call('GET', `/v1/files/${id}`);
    expect(await read.json()).toMatchObject({ id, state: 'stored' });
  });
});
