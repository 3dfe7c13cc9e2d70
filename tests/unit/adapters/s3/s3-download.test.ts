import { describe, expect, test } from 'bun:test';
import type { S3Client } from '@aws-sdk/client-s3';
import { PIECE_BYTES, type Piece, readPiece, readPieces } from '../../../../src/adapters/s3/s3-download.ts';
import { CHUNK_BYTES } from '../../../../src/utils/chunk-bytes.ts';

const OBJECT = { Bucket: 'atlas', Key: 'key' };
const never = new AbortController().signal;

/** A client whose only response has these bytes under this Content-Range. */
function clientOf(ContentRange: string | undefined, sent: readonly Uint8Array[]) {
  let canceled = false;
  const Body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const bytes of sent) controller.enqueue(bytes);
      controller.close();
    },
    cancel() {
      canceled = true;
    },
  });
  const send = async () => ({ Body, ContentRange, ETag: '"1"' });
  return { client: { send } as unknown as S3Client, isCanceled: () => canceled };
}

const clientThatThrows = (name: string, httpStatusCode: number) => {
  const error = Object.assign(new Error(name), { name, $metadata: { httpStatusCode } });
  return { send: () => Promise.reject(error) } as unknown as S3Client;
};

describe('a piece', () => {
  test('is read into whole chunks, however the bytes arrive', async () => {
    const total = CHUNK_BYTES + 10;
    const sent = [new Uint8Array(7), new Uint8Array(CHUNK_BYTES), new Uint8Array(3)];
    const { client } = clientOf(`bytes 5-${total + 4}/9000000`, sent);
    const piece = await readPiece(client, OBJECT, 5, total, never);
    expect(piece!.chunks.map(({ byteLength }) => byteLength)).toEqual([CHUNK_BYTES, 10]);
    expect(piece).toMatchObject({ sizeBytes: total, objectBytes: 9_000_000, etag: '"1"' });
  });

  test.each([
    ['fewer bytes than declared', [new Uint8Array(9)], 'S3 sent fewer bytes than it declared.'],
    ['more bytes than declared', [new Uint8Array(11)], 'S3 sent more bytes than it declared.'],
  ])('with %s is an error', async (_, sent, message) => {
    const { client } = clientOf('bytes 0-9/10', sent);
    await expect(readPiece(client, OBJECT, 0, 10, never)).rejects.toThrow(message);
  });

  test.each(['bytes 1-10/20', 'bytes 0-99/100', 'bytes 0-9/*', undefined])(
    'under the wrong range (%p) is an error, and its body is canceled',
    async (range) => {
      const { client, isCanceled } = clientOf(range, [new Uint8Array(10)]);
      await expect(readPiece(client, OBJECT, 0, 10, never)).rejects.toThrow('S3 responded to bytes=0-9 with');
      expect(isCanceled()).toBe(true);
    },
  );

  test('is empty behind the end of the object, and null if there is no object', async () => {
    expect(await readPiece(clientThatThrows('InvalidRange', 416), OBJECT, 7, 10, never)).toMatchObject({
      sizeBytes: 0,
      objectBytes: 7,
    });
    const missing = clientThatThrows('NoSuchKey', 404);
    expect(await readPiece(missing, OBJECT, 0, 10, never)).toBeNull();
    const nextPiece = { ...OBJECT, IfMatch: '"1"' };
    await expect(readPiece(missing, nextPiece, 10, 10, never)).rejects.toThrow('NoSuchKey');
  });
});

describe('the pieces of an object', () => {
  const pieceOf = (sizeBytes: number, objectBytes: number): Piece => {
    const chunks: Uint8Array[] = [];
    for (let at = 0; at < sizeBytes; at += CHUNK_BYTES)
      chunks.push(new Uint8Array(Math.min(CHUNK_BYTES, sizeBytes - at)));
    return { chunks, sizeBytes, objectBytes, etag: '"1"' };
  };

  test('are requested one at a time, of the first version, and only when the last chunk is read', async () => {
    const size = PIECE_BYTES + 5;
    const requests: unknown[] = [];
    const read = async (from: number, lengthMax: number, etag: string | null) => {
      requests.push([from, lengthMax, etag]);
      return pieceOf(lengthMax, size);
    };
    const first = pieceOf(PIECE_BYTES, size);
    const chunks = readPieces(first, 0, size, read, never);
    await chunks.next();
    expect(requests).toEqual([]);
    await chunks.next();
    expect(requests).toEqual([[PIECE_BYTES, 5, '"1"']]);
    expect((await chunks.next()).value?.byteLength).toBe(5);
    expect((await chunks.next()).done).toBe(true);
    expect(requests).toHaveLength(1);
  });

  test('end with an error when the object is shorter than it was', async () => {
    const read = async () => pieceOf(0, 10);
    const chunks = readPieces(pieceOf(10, 20), 0, 20, read, never);
    await chunks.next();
    await expect(chunks.next()).rejects.toThrow('S3 ended an object early.');
  });
});
