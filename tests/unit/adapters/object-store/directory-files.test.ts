import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { type FileHandle, mkdir, mkdtemp, open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  filesBelow,
  moveDurably,
  readChunks,
  unlessMissing,
  writeAll,
} from '../../../../src/adapters/object-store/directory-files.ts';
import { CHUNK_BYTES } from '../../../../src/utils/chunk-bytes.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'atlas-test-files-'));
});
afterEach(() => rm(folder, { recursive: true }));

test('all bytes are written, even if each write takes only some of them', async () => {
  const written: number[] = [];
  const slow = {
    async write(bytes: Uint8Array, offset: number, length: number) {
      const bytesWritten = Math.min(3, length);
      written.push(...bytes.subarray(offset, offset + bytesWritten));
      return { bytesWritten };
    },
  };
  await writeAll(slow as unknown as FileHandle, new Uint8Array([1, 2, 3, 4, 5, 6, 7]));
  expect(written).toEqual([1, 2, 3, 4, 5, 6, 7]);
});

test('a file moves into a folder that is created for it, private to its user', async () => {
  const [from, to] = [join(folder, 'from'), join(folder, 'new', 'to')];
  await writeFile(from, 'text');
  await moveDurably(from, to);
  expect(await readFile(to, 'utf8')).toBe('text');
  expect((await stat(join(folder, 'new'))).mode & 0o777).toBe(0o700);
  expect(await unlessMissing(stat(from))).toBeNull();
});

describe('chunks of a file', () => {
  const SIZE = CHUNK_BYTES + 10;
  const sizesOf = async (first: number, end: number) => {
    const path = join(folder, 'file');
    await writeFile(path, new Uint8Array(SIZE));
    const file = await open(path);
    try {
      const chunks = await Array.fromAsync(readChunks(file, first, end));
      return chunks.map(({ byteLength }) => byteLength);
    } finally {
      await file.close();
    }
  };

  test.each([
    ['to its end', 0, Number.POSITIVE_INFINITY, [CHUNK_BYTES, 10]],
    ['to a byte inside', 0, CHUNK_BYTES + 5, [CHUNK_BYTES, 5]],
    ['from a byte inside, counted from there', 9, Number.POSITIVE_INFINITY, [CHUNK_BYTES, 1]],
    ['past its end', SIZE - 1, SIZE + 100, [1]],
    ['from beyond its end', SIZE, SIZE + 100, []],
  ])('are read %s', async (_, first, end, sizes) => {
    expect(await sizesOf(first, end)).toEqual(sizes);
  });
});

test('files are found in the folders that match, and there are none without the root', async () => {
  for (const name of ['ab', 'cd', 'incoming']) {
    await mkdir(join(folder, name));
    await writeFile(join(folder, name, `in-${name}`), '1234');
  }
  await writeFile(join(folder, 'ef'), 'not a folder');
  const found = await Array.fromAsync(filesBelow(folder, /^[0-9a-f]{2}$/));
  expect(found.map(({ name }) => name).sort()).toEqual(['in-ab', 'in-cd']);
  expect(found[0]!.sizeBytes).toBe(4);
  expect(await Array.fromAsync(filesBelow(join(folder, 'missing'), /./))).toEqual([]);
});

test('only a missing file is null; other errors are thrown', async () => {
  expect(await unlessMissing(readFile(join(folder, 'missing')))).toBeNull();
  await expect(unlessMissing(readFile(folder))).rejects.toMatchObject({ code: 'EISDIR' });
});
