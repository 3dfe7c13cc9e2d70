import { describe, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { directoryStore } from '../../../src/adapters/object-store/directory-store.ts';
import { partBytes } from '../../../src/adapters/s3/part-buffer.ts';
import { openS3Store } from '../../../src/adapters/s3/s3-store.ts';
import { isS3Here, startTestS3 } from '../../support/s3.ts';
import { bytesOf, keysOf, put, read, s3Options, unfinished } from './object-stores.ts';

const SIZES = [10, partBytes(1) + 1, 3 * partBytes(1)];

/** Uploads the key in another process, and kills it in the middle with SIGKILL. */
async function killWhileUploading(options: object, key: string, sizeBytes: number): Promise<void> {
  const script = join(import.meta.dir, 'object-upload.ts');
  const child = Bun.spawn([process.execPath, script, JSON.stringify(options), key, `${sizeBytes}`], {
    stdout: 'pipe',
    stderr: 'inherit',
  });
  const said = await child.stdout.getReader().read();
  child.kill('SIGKILL');
  await child.exited;
  expect(new TextDecoder().decode(said.value)).toBe('sent\n');
}

describe('an upload whose process is killed', () => {
  test.each(SIZES)('leaves no visible object in the directory after %d bytes', async (sizeBytes) => {
    const folder = await mkdtemp(join(tmpdir(), 'atlas-test-objects-'));
    const store = directoryStore(folder);
    const before = bytesOf(5);
    await put(store, 'before', before);
    await killWhileUploading({ folder }, 'before', sizeBytes);
    await killWhileUploading({ folder }, 'new', sizeBytes);
    expect(await keysOf(store)).toEqual(['before']);
    expect(await read(store, 'before')).toEqual(before);
    expect(await unfinished(store)).toBe(2);
    expect(await unfinished(store)).toBe(0);
    await rm(folder, { recursive: true });
  });

  test.if(isS3Here()).each(SIZES)('leaves no visible object in S3 after %d bytes', async (sizeBytes) => {
    const s3 = await startTestS3();
    const { store, close } = openS3Store(s3Options(s3));
    const before = bytesOf(5);
    await put(store, 'before', before);
    await killWhileUploading(s3Options(s3), 'before', sizeBytes);
    await killWhileUploading(s3Options(s3), 'new', sizeBytes);
    expect(await keysOf(store)).toEqual(['before']);
    expect(await read(store, 'before')).toEqual(before);
    // A body that fits into one part is sent when it is complete, so S3 has not seen it.
    expect(await unfinished(store)).toBe(sizeBytes < partBytes(1) ? 0 : 2);
    expect(await unfinished(store)).toBe(0);
    close();
    await s3.stop();
  });
});
