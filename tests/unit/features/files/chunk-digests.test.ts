import { expect, test } from 'bun:test';
import { createHash, randomBytes } from 'node:crypto';
import { ChunkDigests, createChunkCheck } from '../../../../src/features/files/chunk-digests.ts';
import { CHUNK_BYTES } from '../../../../src/utils/chunk-bytes.ts';

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest();

test.each([1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES, 3 * CHUNK_BYTES + 9])(
  '%d bytes have one digest per chunk, however they are split',
  (size) => {
    const bytes = randomBytes(size);
    const expected = Buffer.concat(
      Array.from({ length: Math.ceil(size / CHUNK_BYTES) }, (_, i) =>
        sha256(bytes.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES)),
      ),
    );
    for (const step of [size, 65_536, 100_003, 2 * CHUNK_BYTES + 1]) {
      const hashing = new ChunkDigests();
      for (let at = 0; at < size; at += step) hashing.add(bytes.subarray(at, at + step));
      const { sizeBytes, sha256: whole, chunks } = hashing.end();
      expect(sizeBytes).toBe(size);
      expect(Buffer.from(whole).equals(sha256(bytes))).toBe(true);
      expect(Buffer.from(chunks).equals(expected)).toBe(true);
    }
  },
);

test('holds more chunks than its initial capacity', () => {
  const chunk = Buffer.alloc(CHUNK_BYTES, 1);
  const hashing = new ChunkDigests();
  for (let i = 0; i < 70; i++) hashing.add(chunk);
  const { chunks } = hashing.end();
  const digest = sha256(chunk);
  expect(chunks.byteLength).toBe(70 * 32);
  for (let i = 0; i < 70; i++)
    expect(Buffer.from(chunks.subarray(i * 32, i * 32 + 32)).equals(digest)).toBe(true);
});

test('a chunk matches its digest, and not after one flipped bit', async () => {
  const isChunk = createChunkCheck();
  const chunk = randomBytes(1000);
  const digest = sha256(chunk);
  expect(await isChunk('a', chunk, digest)).toBe(true);
  chunk[999]! ^= 0x80;
  expect(await isChunk('a', chunk, digest)).toBe(false);
  expect(await isChunk('a', chunk.subarray(0, 999), digest)).toBe(false);
});

test('at most one chunk is hashed per turn of the event loop, and owners take turns', async () => {
  const isChunk = createChunkCheck();
  const chunk = Buffer.alloc(9);
  const digest = sha256(chunk);
  const checked: string[] = [];
  const check = (owner: string) =>
    isChunk(owner, chunk, digest).then((matches) => {
      expect(matches).toBe(true);
      checked.push(owner);
    });
  const checking = [...Array.from({ length: 20 }, () => check('many')), check('few')];
  for (let turn = 1; turn <= checking.length; turn++) {
    await new Promise(setImmediate);
    expect(checked.length).toBeLessThanOrEqual(turn);
  }
  await Promise.all(checking);
  expect(checked.indexOf('few')).toBeLessThan(3);
});
