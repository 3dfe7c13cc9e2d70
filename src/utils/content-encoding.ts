import { promisify } from 'node:util';
import { brotliCompress, constants, gzip, zstdCompress } from 'node:zlib';

// By preference among encodings of equal weight.
const ENCODINGS = ['zstd', 'gzip', 'br'] as const;
export type Encoding = (typeof ENCODINGS)[number];

/** A shorter body is not worth compressing: the whole response fits in a packet or two anyway. */
export const WORTHWHILE_BYTES = 1024;

/** Returns the best encoding that both sides support (RFC 9110, section 12.5.3), or null. */
export function negotiateEncoding(acceptEncoding: string | null): Encoding | null {
  if (acceptEncoding === null) return null;
  const weights = new Map<string, number>();
  for (const part of acceptEncoding.toLowerCase().split(',')) {
    const [name = '', ...parameters] = part.split(';').map((piece) => piece.trim());
    const q = parameters.find((parameter) => parameter.startsWith('q='));
    weights.set(name, q === undefined ? 1 : Number(q.slice(2)) || 0);
  }
  let best: Encoding | null = null;
  let bestWeight = 0;
  for (const encoding of ENCODINGS) {
    const weight = weights.get(encoding) ?? weights.get('*') ?? 0;
    if (weight > bestWeight) [best, bestWeight] = [encoding, weight];
  }
  return best;
}

/** `fast` is for a body that is sent once, `small` for one that is compressed once and sent often. */
export type Effort = 'fast' | 'small';

const zstd = (level: number) => ({ params: { [constants.ZSTD_c_compressionLevel]: level } });
const brotli = (quality: number) => ({ params: { [constants.BROTLI_PARAM_QUALITY]: quality } });
const OPTIONS = {
  gzip: { fast: { level: 6 }, small: { level: 9 } },
  zstd: { fast: zstd(3), small: zstd(15) },
  // The default, 11, keeps a core busy for a second per megabyte.
  br: { fast: brotli(4), small: brotli(9) },
} as const;
const compressors = {
  gzip: promisify(gzip),
  zstd: promisify(zstdCompress),
  br: promisify(brotliCompress),
} as const;

/**
 * Compresses bytes in a thread of the platform. `CompressionStream` would do part of it in the event loop, and has
 * brotli only at its slowest quality.
 */
export function compress(
  bytes: Uint8Array,
  encoding: Encoding,
  effort: Effort,
): Promise<Uint8Array<ArrayBuffer>> {
  return compressors[encoding](bytes, OPTIONS[encoding][effort]);
}
