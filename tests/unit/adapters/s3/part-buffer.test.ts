import { describe, expect, test } from 'bun:test';
import { PARTS_MAX, PartBuffer, PartReader, partBytes } from '../../../../src/adapters/s3/part-buffer.ts';

const MIB = 1_048_576;

describe('part sizes', () => {
  const sizes = Array.from({ length: PARTS_MAX }, (_, i) => partBytes(i + 1));
  const sumOf = (count: number) => sizes.slice(0, count).reduce((sum, size) => sum + size, 0);

  test('are 5 MiB for all of the first GiB, and at most 15 MiB up to 5 GiB', () => {
    const [gibibyte, five] = [205, 778];
    expect(sumOf(gibibyte)).toBeGreaterThan(1024 * MIB);
    expect(new Set(sizes.slice(0, gibibyte))).toEqual(new Set([5 * MIB]));
    expect(sumOf(five)).toBeLessThan(5 * 1024 * MIB);
    expect(sizes[five]).toBe(15 * MIB);
    expect(sumOf(five + 10)).toBeGreaterThan(5 * 1024 * MIB);
  });

  test('hold 5 TiB together, the largest object of S3', () => {
    expect(sumOf(PARTS_MAX)).toBeGreaterThanOrEqual(5 * 1024 ** 2 * MIB);
  });

  test('are within the limits of S3, 5 MiB to 5 GiB, and never decrease', () => {
    expect(Math.min(...sizes)).toBeGreaterThanOrEqual(5 * MIB);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(5 * 1024 * MIB);
    expect(sizes).toEqual(sizes.toSorted((a, b) => a - b));
  });
});

describe('a part reader', () => {
  /** Returns the parts of a body with these chunks, as text. */
  async function partsOf(chunks: readonly string[], sizeMax: number): Promise<string[]> {
    const reader = new PartReader(bodyOf(chunks));
    const buffer = new PartBuffer();
    const parts: string[] = [];
    for (let ended = false; !ended; ) {
      ended = await reader.fill(buffer, sizeMax);
      parts.push(new TextDecoder().decode(buffer.content));
      expect(buffer.sizeBytes).toBe(buffer.content.byteLength);
    }
    return parts;
  }

  test('fills parts from chunks of any size', async () => {
    expect(await partsOf(['abc', '', 'd', 'efghijklm', 'n'], 4)).toEqual(['abcd', 'efgh', 'ijkl', 'mn']);
    expect(await partsOf(['abcdefghij'], 4)).toEqual(['abcd', 'efgh', 'ij']);
    expect(await partsOf([], 4)).toEqual(['']);
  });

  test('notices the end of the body only at the next read', async () => {
    expect(await partsOf(['abcd'], 4)).toEqual(['abcd', '']);
  });

  test('requests nothing while a part is full', async () => {
    let asked = 0;
    async function* counting() {
      for (;;) {
        asked++;
        yield new Uint8Array(10);
      }
    }
    const reader = new PartReader(counting());
    const buffer = new PartBuffer();
    await reader.fill(buffer, 4);
    await reader.fill(buffer, 4);
    expect(asked).toBe(1);
  });

  test('ends the body when it is closed', async () => {
    let ended = false;
    async function* body() {
      try {
        yield new Uint8Array(10);
      } finally {
        ended = true;
      }
    }
    const reader = new PartReader(body());
    await reader.fill(new PartBuffer(), 4);
    await reader.close();
    expect(ended).toBe(true);
  });
});

test('a freed part buffer is empty and can be filled again', () => {
  const buffer = new PartBuffer();
  buffer.append(new Uint8Array(100_000).fill(1), MIB);
  buffer.free();
  expect(buffer.sizeBytes).toBe(0);
  buffer.append(new Uint8Array([2, 3]), MIB);
  expect([...buffer.content]).toEqual([2, 3]);
});

async function* bodyOf(chunks: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield new TextEncoder().encode(chunk);
}
