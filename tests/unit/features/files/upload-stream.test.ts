import { describe, expect, test } from 'bun:test';
import { createHash, randomBytes } from 'node:crypto';
import { SNIFFED_BYTES } from '../../../../src/features/files/file-type.ts';
import { UploadStream } from '../../../../src/features/files/upload-stream.ts';

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

function piecesOf(bytes: Uint8Array, pieceBytes: number) {
  const seen = { pieces: 0, ended: false };
  async function* pieces() {
    try {
      for (let at = 0; at < bytes.byteLength; at += pieceBytes) {
        seen.pieces++;
        yield bytes.slice(at, at + pieceBytes);
      }
    } finally {
      seen.ended = true;
    }
  }
  return { pieces: pieces(), seen };
}

async function read(stream: UploadStream): Promise<Buffer> {
  const got: Uint8Array[] = [];
  for await (const piece of stream) got.push(Buffer.from(piece));
  return Buffer.concat(got);
}

describe('an upload', () => {
  const bytes = new Uint8Array(randomBytes(20_000));

  test.each([1000, 4096, 20_000])(
    'passes unchanged in pieces of %d, also after its head was read',
    async (size) => {
      let counted = 0;
      const { pieces, seen } = piecesOf(bytes, size);
      const stream = new UploadStream(pieces, { sha256: [sha256(bytes)] }, (n) => {
        counted += n;
      });
      const head = await stream.head();
      expect(head.byteLength).toBeGreaterThanOrEqual(SNIFFED_BYTES);
      expect(seen.pieces).toBe(Math.ceil(SNIFFED_BYTES / size));
      expect(counted).toBe(0);
      expect((await read(stream)).equals(bytes)).toBe(true);
      expect(counted).toBe(bytes.byteLength);
      expect(Buffer.from(stream.digests.sha256).toString('hex')).toBe(sha256(bytes));
    },
  );

  test('that is short consists of its head', async () => {
    const stream = new UploadStream(piecesOf(Buffer.from('short'), 2).pieces, { sha256: [] });
    expect(Buffer.from(await stream.head()).toString()).toBe('short');
    expect((await read(stream)).toString()).toBe('short');
  });

  test('has no digests before its end', () => {
    const stream = new UploadStream(piecesOf(bytes, 1000).pieces, { sha256: [] });
    expect(() => stream.digests).toThrow('has not been read to its end');
  });

  test.each([
    ['its digest differs', { sha256: ['0'.repeat(64)] }],
    ['one of two digests differs', { sha256: [sha256(bytes), '0'.repeat(64)] }],
    ['it is shorter than declared', { sha256: [], sizeBytes: 20_001 }],
    ['it is longer than declared', { sha256: [], sizeBytes: 19_999 }],
  ])('fails before its end is reported when %s', async (_why, expected) => {
    const stream = new UploadStream(piecesOf(bytes, 1000).pieces, expected);
    await expect(read(stream)).rejects.toMatchObject({ code: 'checksum_mismatch' });
    expect(() => stream.digests).toThrow();
  });

  test('that is rejected cancels its body', async () => {
    const { pieces, seen } = piecesOf(bytes, 1000);
    const stream = new UploadStream(pieces, { sha256: [] });
    await stream.head();
    await stream.close();
    expect(seen).toEqual({ pieces: 5, ended: true });
  });
});
