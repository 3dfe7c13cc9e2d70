import { GetObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { CHUNK_BYTES } from '../../utils/chunk-bytes.ts';
import { freeBytes } from '../../utils/free-bytes.ts';
import { s3Status } from './s3-client.ts';

/** Some bytes of an object, and the version they are of. */
export interface Piece {
  /** Whoever reads them takes them out, so that they do not outlive their use. */
  readonly chunks: Uint8Array[];
  readonly sizeBytes: number;
  /** Of the whole object. */
  readonly objectBytes: number;
  readonly etag: string;
}

const CONTENT_RANGE = /^bytes (\d+)-(\d+)\/(\d+)$/;

/**
 * Reads up to `lengthMax` bytes of an object, of the version with the ETag where one is given. Null when there is no
 * object; a piece without bytes when it ends before `first`. Throws what the SDK throws, and for an answer cut short.
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
    const answer = await client.send(new GetObjectCommand({ ...object, Range }), { abortSignal: signal });
    const body = answer.Body as ReadableStream<Uint8Array> | undefined;
    const [, start, last, total] = CONTENT_RANGE.exec(answer.ContentRange ?? '') ?? [];
    const sizeBytes = Number(last) - Number(start) + 1;
    if (body === undefined || Number(start) !== first || !(sizeBytes <= lengthMax)) {
      await body?.cancel();
      throw new Error(`S3 answered ${Range} with ${answer.ContentRange}`);
    }
    const chunks = await collect(body, sizeBytes, signal);
    return { chunks, sizeBytes, objectBytes: Number(total), etag: answer.ETag ?? '' };
  } catch (error) {
    if (s3Status(error) === 416) return { chunks: [], sizeBytes: 0, objectBytes: first, etag: '' };
    if ((error as Error).name === 'NoSuchKey' && object.IfMatch === undefined) return null;
    throw error;
  }
}

/** The stream as chunks of {@link CHUNK_BYTES}; the memory of what comes from the socket is given back at once. */
async function collect(
  body: ReadableStream<Uint8Array>,
  sizeBytes: number,
  signal: AbortSignal,
): Promise<Uint8Array[]> {
  const chunks: Uint8Array[] = [];
  let room = new Uint8Array(0);
  let at = 0;
  let received = 0;
  for await (const bytes of body) {
    signal.throwIfAborted();
    if (received + bytes.byteLength > sizeBytes) throw new Error('S3 sent more than it announced');
    for (let taken = 0; taken < bytes.byteLength; ) {
      if (at === room.byteLength) {
        room = new Uint8Array(Math.min(CHUNK_BYTES, sizeBytes - received));
        at = 0;
        chunks.push(room);
      }
      const length = Math.min(room.byteLength - at, bytes.byteLength - taken);
      room.set(bytes.subarray(taken, taken + length), at);
      at += length;
      taken += length;
      received += length;
    }
    freeBytes(bytes);
  }
  if (received < sizeBytes) throw new Error('S3 sent less than it announced');
  return chunks;
}
