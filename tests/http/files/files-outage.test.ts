import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { freshDatabase } from '../../support/database.ts';
import {
  availableStores,
  type FilesApp,
  gzipLike,
  MIB,
  startFilesApp,
  uploadFile,
} from '../../support/file-steps.ts';
import { openAccount } from '../../support/ledger-steps.ts';
import { START_TIMEOUT_MS } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';
import { expectProblem } from '../problem-assertions.ts';

beforeAll(() => freshDatabase(), START_TIMEOUT_MS);

describe.if(availableStores().includes('s3'))('while S3 is', () => {
  let atlas: FilesApp;
  beforeEach(async () => {
    atlas = await startFilesApp('s3', { HTTP_TIMEOUT: '2', FILES_TIMEOUT: '3' });
  }, START_TIMEOUT_MS);
  afterEach(() => atlas.close());

  /** Requests that need no object succeed, and are not affected. */
  async function expectTheRestGoesOn(id: string): Promise<void> {
    await openAccount(atlas);
    for (const path of ['/v1/accounts', '/v1/files', `/v1/files/${id}`, '/v1/ping', '/health/ready'])
      expect({ path, status: (await atlas.call('GET', path)).status }).toEqual({ path, status: 200 });
  }

  test('down, file bytes are a 503, nothing else is affected, and nothing is left over', async () => {
    const bytes = gzipLike(MIB + 3);
    const [read, deleted] = [await uploadFile(atlas, bytes), await uploadFile(atlas, bytes)];
    await atlas.s3!.kill();
    for (const refused of [
      await atlas.call('GET', `/v1/files/${read.id}/content`),
      await atlas.call('POST', '/v1/files', { body: bytes }),
    ]) {
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
      await expectProblem(atlas, refused, 503, 'dependency_unavailable');
    }
    await expectTheRestGoesOn(read.id);
    // A deletion succeeds immediately; the object is deleted later.
    expect((await atlas.call('DELETE', `/v1/files/${deleted.id}`)).status).toBe(204);
    expect((await atlas.call('GET', `/v1/files/${deleted.id}`)).status).toBe(404);

    await atlas.s3!.restart();
    let back = new Response();
    await until(async () => {
      back = await atlas.call('GET', `/v1/files/${read.id}/content`);
      return back.status !== 503;
    });
    expect(back.status).toBe(200);
    expect(Buffer.compare(Buffer.from(await back.bytes()), bytes)).toBe(0);
    // A job calls this each minute. The breaker may still be probing S3.
    await until(() =>
      atlas.files.settle().then(
        () => true,
        () => false,
      ),
    );
    expect(await atlas.rows()).toEqual({ [read.id]: 'stored' });
    expect(await atlas.objectIds()).toEqual([read.id]);
    expect(await atlas.files.verify(true, AbortSignal.timeout(10_000), -60_000)).toMatchObject({ ok: true });
  });

  test('unresponsive, file bytes are a 504 in time, and nothing else is affected', async () => {
    const bytes = gzipLike(MIB + 3);
    const { id } = await uploadFile(atlas, bytes);
    await atlas.s3!.pause();
    const [download, upload] = await Promise.all([
      atlas.call('GET', `/v1/files/${id}/content`),
      atlas.call('POST', '/v1/files', { body: bytes }),
      expectTheRestGoesOn(id),
    ]);
    await expectProblem(atlas, download, 504, 'deadline_exceeded');
    await expectProblem(atlas, upload, 504, 'deadline_exceeded');
    atlas.s3!.resume();
  });
});
