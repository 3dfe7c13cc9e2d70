import { GetObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { CHUNK_BYTES } from '../../utils/chunk-bytes.ts';
import { freeBytes } from '../../utils/free-bytes.ts';
import { s3Status } from './s3-client.ts';

/** Bytes of one request. */
export const PIECE_BYTES = 2 * CHUNK_BYTES;

/** Consecutive bytes of an object, and the version of the object that they are from. */
export interface Piece {
  /** Readers remove chunks from the array, so that their memory can be freed early. */
  readonly chunks: Uint8Array[];
  readonly sizeBytes: number;
  /** Size of the whole object. */
  readonly objectBytes: number;
  readonly etag: string;
}

/** Reads a piece, of the version with the ETag unless that is null. */
export type ReadPiece = (
  from: number,
  lengthMax: number,
  etag: string | null,
  signal: AbortSignal,
) => Promise<Piece | null>;

const CONTENT_RANGE = /^bytes (\d+)-(\d+)\/(\d+)$/;

/**
 * Reads up to `lengthMax` bytes of an object. Returns null if there is no object, and an empty piece if it ends before
 * `first`. Throws what the SDK throws, and for a truncated response.
 */
export async function readPiece(
  client: S3Client,
  object: { readonly Bucket: string; readonly Key: string; readonly IfMatch?: string },
  first: number,
  lengthMax: number,
  signal: AbortSignal,
): Promise<Piece | null> {
  const Range = `bytes=${first}-${first + lengthMax - 1}`;
  try {
    const response = await client.send(new GetObjectCommand({ ...object, Range }), { abortSignal: signal });
    const body = response.Body as ReadableStream<Uint8Array> | undefined;
    const [, start, last, total] = CONTENT_RANGE.exec(response.ContentRange ?? '') ?? [];
    const sizeBytes = Number(last) - Number(start) + 1;
    if (body === undefined || Number(start) !== first || !(sizeBytes <= lengthMax)) {
      await body?.cancel();
      throw new Error(`S3 responded to ${Range} with ${response.ContentRange}.`);
    }
    const chunks = await collect(body, sizeBytes, signal);
    return { chunks, sizeBytes, objectBytes: Number(total), etag: response.ETag ?? '' };
  } catch (error) {
    if (s3Status(error) === 416) return { chunks: [], sizeBytes: 0, objectBytes: first, etag: '' };
    if ((error as Error).name === 'NoSuchKey' && object.IfMatch === undefined) return null;
    throw error;
  }
}

/**
 * Yields the chunks of a piece and of the pieces after it, up to `end`. Requests the next piece only when the last
 * chunk of the current one is read, so that a slow reader holds little memory.
 */
export async function* readPieces(
  piece: Piece,
  first: number,
  end: number,
  read: ReadPiece,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let at = first;
  for (let current: Piece | null = piece; current !== null; ) {
    const { chunks, sizeBytes }: Piece = current;
    if (sizeBytes === 0 && at < end) throw new Error('S3 ended an object early.');
    at += sizeBytes;
    while (chunks.length > 1) yield chunks.shift()!;
    const next: Promise<Piece | null> =
      at < end ? read(at, Math.min(PIECE_BYTES, end - at), piece.etag, signal) : Promise.resolve(null);
    // Awaited only after the last chunk of this piece has been read, which may be never.
    next.catch(() => {});
    yield* chunks.splice(0);
    current = await next;
  }
}

/** Reads the stream into chunks of {@link CHUNK_BYTES}, and frees the memory of what the socket delivered. */
async function collect(
  body: ReadableStream<Uint8Array>,
  sizeBytes: number,
  signal: AbortSignal,
): Promise<Uint8Array[]> {
  const chunks: Uint8Array[] = [];
  let chunk = new Uint8Array(0);
  let at = 0;
  let received = 0;
  for await (const bytes of body) {
    signal.throwIfAborted();
    if (received + bytes.byteLength > sizeBytes) throw new Error('S3 sent more bytes than it declared.');
    for (let taken = 0; taken < bytes.byteLength; ) {
      if (at === chunk.byteLength) {
        chunk = new Uint8Array(Math.min(CHUNK_BYTES, sizeBytes - received));
        at = 0;
        chunks.push(chunk);
      }
      const length = Math.min(chunk.byteLength - at, bytes.byteLength - taken);
      chunk.set(bytes.subarray(taken, taken + length), at);
      at += length;
      taken += length;
      received += length;
    }
    freeBytes(bytes);
  }
  if (received < sizeBytes) throw new Error('S3 sent fewer bytes than it declared.');
  return chunks;
}
