import { expect, test } from 'bun:test';
import { createHash, randomBytes } from 'node:crypto';
import { ChunkDigests, isChunk } from '../../../../src/features/files/chunk-digests.ts';
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

test('a chunk matches its digest, and not after one flipped bit', () => {
  const chunk = randomBytes(1000);
  const digest = sha256(chunk);
  expect(isChunk(chunk, digest)).toBe(true);
  chunk[999]! ^= 0x80;
  expect(isChunk(chunk, digest)).toBe(false);
  expect(isChunk(chunk.subarray(0, 999), digest)).toBe(false);
});
