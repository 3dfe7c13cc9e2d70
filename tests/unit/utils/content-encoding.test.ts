import { describe, expect, test } from 'bun:test';
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib';
import { compress, negotiateEncoding } from '../../../src/utils/content-encoding.ts';

describe('the encoding', () => {
  test.each([
    ['gzip', 'gzip'],
    ['GZIP', 'gzip'],
    ['br', 'br'],
    ['zstd', 'zstd'],
    ['gzip, deflate, br, zstd', 'zstd'],
    ['gzip, deflate, br', 'gzip'],
    ['gzip;q=0.5, br;q=0.9', 'br'],
    ['zstd;q=0, gzip', 'gzip'],
    ['*', 'zstd'],
    ['zstd;q=0, *;q=0.1', 'gzip'],
    ['zstd;q=1, br', 'zstd'],
    [' gzip ; q=1 ', 'gzip'],
  ] as const)('for %p is %s', (acceptEncoding, expected) => {
    expect(negotiateEncoding(acceptEncoding)).toBe(expected);
  });

  test.each([null, '', 'identity', 'deflate', 'gzip;q=0', '*;q=0', 'gzip;q=junk', ','])(
    'for %p is none',
    (acceptEncoding) => {
      expect(negotiateEncoding(acceptEncoding)).toBeNull();
    },
  );
});

const DECODERS = { gzip: gunzipSync, br: brotliDecompressSync, zstd: zstdDecompressSync };

describe.each(['gzip', 'br', 'zstd'] as const)('with %s', (encoding) => {
  test.each(['fast', 'small'] as const)('compression for a %s result can be reversed', async (effort) => {
    const text = 'Atlas '.repeat(50_000);
    const compressed = await compress(new TextEncoder().encode(text), encoding, effort);
    expect(compressed.byteLength).toBeLessThan(text.length / 50);
    expect(DECODERS[encoding](compressed).toString()).toBe(text);
  });

  test('compression does not run in the event loop', async () => {
    const bytes = new TextEncoder().encode(JSON.stringify(Array.from({ length: 200_000 }, Math.random)));
    let turns = 0;
    const turn = () => {
      turns++;
      timer = setImmediate(turn);
    };
    let timer = setImmediate(turn);
    await compress(bytes, encoding, 'small');
    clearImmediate(timer);
    expect(turns).toBeGreaterThan(10);
  });
});
