import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { createReconciler } from '../../../src/features/files/reconciler.ts';
import { createFileRepository } from '../../../src/features/files/repository.ts';
import { freshDatabase } from '../../support/database.ts';
import {
  availableStores,
  type FileResource,
  type FilesApp,
  gzipLike,
  MIB,
  startFilesApp,
  uploadFile,
} from '../../support/file-steps.ts';
import { START_TIMEOUT_MS } from '../../support/test-app.ts';

// Includes objects of the next minute, so that tests need not wait until an object is old.
const NO_GRACE_MS = -60_000;
const never = new AbortController().signal;

beforeAll(() => freshDatabase(), START_TIMEOUT_MS);

describe.each(availableStores())('the reconciler of files in the %s', (kind) => {
  let atlas: FilesApp;
  let realm: string;
  beforeAll(async () => {
    atlas = await startFilesApp(kind);
    realm = (await atlas.sql<[{ realm: string }]>`SELECT realm FROM object_realm`)[0].realm;
  }, START_TIMEOUT_MS);
  afterAll(() => atlas.close());

  const verify = (deep = false) => atlas.files.verify(deep, never, NO_GRACE_MS);

  /** Writes an object without a row, as a process that dies right after would. */
  async function putObject(id: string, inRealm = realm): Promise<void> {
    const body = (async function* () {
      yield gzipLike(100);
    })();
    const options = { mediaType: 'application/gzip', signal: never };
    await atlas.deps.objects.put(`files/${inRealm}/${id}`, body, options);
  }

  test('expires an upload whose process died, before and after its object was written', async () => {
    const [without, withObject] = [crypto.randomUUID(), crypto.randomUUID()];
    for (const id of [without, withObject])
      await atlas.sql`
        INSERT INTO files (id, owner, state, name, media_type, expires_at)
        VALUES (${id}, 'owner', 'uploading', 'a', 'text/plain', now())`;
    await putObject(withObject);
    await atlas.files.settle();
    expect(Object.keys(await atlas.rows())).not.toContain(without);
    expect(Object.keys(await atlas.rows())).not.toContain(withObject);
    expect(await atlas.objectIds()).not.toContain(withObject);
  });

  test('leaves an upload in progress alone', async () => {
    const bytes = gzipLike(MIB);
    const reached = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    let piece = 0;
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        if (piece === 2) {
          reached.resolve();
          await goOn.promise;
        }
        const next = bytes.slice(piece * 65_536, ++piece * 65_536);
        if (next.byteLength === 0) controller.close();
        else controller.enqueue(next);
      },
    });
    const uploading = atlas.call('POST', '/v1/files', { body });
    await reached.promise;
    await atlas.files.settle();
    await atlas.files.sweep(NO_GRACE_MS);
    goOn.resolve();
    const response = await uploading;
    expect(response.status).toBe(201);
    const { id } = (await response.json()) as FileResource;
    const read = await atlas.call('GET', `/v1/files/${id}/content`);
    expect(Buffer.compare(Buffer.from(await read.bytes()), bytes)).toBe(0);
  });

  test('finishes a deletion that was started', async () => {
    const { id } = await uploadFile(atlas, 'half deleted');
    await atlas.sql`UPDATE files SET state = 'deleting' WHERE id = ${id}`;
    expect((await atlas.call('GET', `/v1/files/${id}`)).status).toBe(404);
    expect(await verify()).toMatchObject({ ok: true, deleting: 1 });
    await atlas.files.settle();
    expect(Object.keys(await atlas.rows())).not.toContain(id);
    expect(await atlas.objectIds()).not.toContain(id);
  });

  test('finds damage even if the store refuses to delete an object', async () => {
    const [held, lost] = [await uploadFile(atlas, 'held'), await uploadFile(atlas, 'lost meanwhile')];
    await atlas.sql`UPDATE files SET state = 'deleting' WHERE id = ${held.id}`;
    await atlas.lose(lost.id);
    const seen: string[] = [];
    const reconciler = createReconciler({
      repository: createFileRepository(atlas.deps.database, atlas.deps.incarnation),
      // The response of S3 for an object under a legal hold.
      objects: { ...atlas.deps.objects, delete: () => Promise.reject(new Error('held')) },
      stats: atlas.files.stats,
      timeoutMs: 1000,
      onDamaged: ({ id }) => void seen.push(id),
    });
    await expect(reconciler.settle(never)).rejects.toThrow('held');
    expect(seen).toEqual([lost.id]);
    expect((await atlas.rows())[held.id]).toBe('deleting');
    await atlas.files.settle();
    expect((await atlas.call('DELETE', `/v1/files/${lost.id}`)).status).toBe(204);
    expect(await verify()).toMatchObject({ ok: true, deleting: 0 });
  });

  test('deletes orphaned objects once they are old enough, and only those of this database', async () => {
    const kept = await uploadFile(atlas, 'kept');
    const [orphan, stranger] = [crypto.randomUUID(), crypto.randomUUID()];
    await putObject(orphan);
    await putObject(stranger, crypto.randomUUID());
    expect(await verify()).toMatchObject({
      ok: false,
      discrepancies: [{ kind: 'orphan', at: `files/${realm}/${orphan}` }],
    });
    await atlas.files.sweep();
    expect(await atlas.objectIds()).toContain(orphan);
    await atlas.files.sweep(NO_GRACE_MS);
    const left = await atlas.objectIds();
    expect(left).not.toContain(orphan);
    expect(left).toEqual(expect.arrayContaining([kept.id, stranger]));
    expect(await verify()).toMatchObject({ ok: true });
  });

  test('reports a stored file whose object is missing or truncated, and deletes neither', async () => {
    const [lost, short, flipped] = [
      await uploadFile(atlas, 'lost'),
      await uploadFile(atlas, gzipLike(1000)),
      await uploadFile(atlas, gzipLike(1000)),
    ];
    await atlas.lose(lost.id);
    await atlas.spoil(short.id, (bytes) => bytes.subarray(0, 10));
    await atlas.spoil(flipped.id, (bytes) => {
      bytes[500]! ^= 1;
      return bytes;
    });
    await atlas.files.settle();
    await atlas.files.sweep(NO_GRACE_MS);
    const rows = await atlas.rows();
    expect([rows[lost.id], rows[short.id]]).toEqual(['stored', 'stored']);
    expect(await atlas.objectIds()).toContain(short.id);
    for (const { id } of [lost, short])
      expect(atlas.logs.some((line) => line.includes(id) && line.includes('damaged'))).toBe(true);
    const metrics = await (await atlas.call('GET', '/metrics')).text();
    expect(metrics).toMatch(/atlas_files_damaged_objects_total [2-9]/);

    const found = async (deep: boolean) => {
      const { discrepancies, ok } = await verify(deep);
      return { ok, at: discrepancies.map(({ kind: what, at }) => `${what} ${at}`).sort() };
    };
    const damaged = [lost.id, short.id].map((id) => `damaged ${id}`).sort();
    expect(await found(false)).toEqual({ ok: false, at: damaged });
    expect(await found(true)).toEqual({ ok: false, at: [...damaged, `damaged ${flipped.id}`].sort() });
    for (const { id } of [lost, short, flipped])
      expect((await atlas.call('DELETE', `/v1/files/${id}`)).status).toBe(204);
    expect(await verify(true)).toMatchObject({ ok: true, discrepancyCount: 0 });
  });
});
