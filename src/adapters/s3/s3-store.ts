import {
  AbortMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import type { Dependency } from '../../resilience/dependency.ts';
import { CHUNK_BYTES } from '../../utils/chunk-bytes.ts';
import { type ObjectStore, requireKey, storeTooSlow } from '../object-store/object-store.ts';
import { objectStream } from '../object-store/object-stream.ts';
import { type CallS3, callS3, type S3Limits, transferMs } from './s3-calls.ts';
import { openS3Client, type S3Access, s3Status } from './s3-client.ts';
import { type Piece, readPiece } from './s3-download.ts';
import { uploadS3 } from './s3-upload.ts';

/** How an S3 is used. */
export interface S3Options extends S3Access, S3Limits {
  /** Where holders of links reach it, if not where Atlas does. */
  readonly publicEndpoint: string;
}

/** An object store, and what stands between it and Atlas. */
export interface OpenedObjectStore {
  readonly store: ObjectStore;
  readonly dependencies: readonly Dependency[];
  close(): void;
}

const PIECE_BYTES = 2 * CHUNK_BYTES;

/**
 * Opens an object store in a bucket of S3, which must exist. Nothing is connected yet, so this never fails.
 */
export function openS3Store(options: S3Options): OpenedObjectStore {
  const client = openS3Client(options);
  const linkClient = openS3Client({ ...options, endpoint: options.publicEndpoint });
  const { ask, dependencies } = callS3(client, options);
  const close = () => {
    for (const dependency of dependencies) dependency.close();
    client.destroy();
    linkClient.destroy();
  };
  return { store: s3Store(client, linkClient, options.bucket, ask), dependencies, close };
}

function s3Store(client: S3Client, linkClient: S3Client, Bucket: string, ask: CallS3): ObjectStore {
  return {
    mode: 's3',
    links: null,

    put: async (key, body, { mediaType, signal }) => {
      const destination = { Bucket, Key: requireKey(key), ContentType: mediaType };
      try {
        return await uploadS3(client, ask, destination, body, signal);
      } catch (error) {
        throw signal.aborted && error === signal.reason ? storeTooSlow(error) : error;
      }
    },

    get: async (key, { first = 0, last, signal }) => {
      const Key = requireKey(key);
      const read = (from: number, lengthMax: number, etag: string | null, ending: AbortSignal) => {
        const object = { Bucket, Key, ...(etag !== null && { IfMatch: etag }) };
        const get = (abortSignal: AbortSignal) => readPiece(client, object, from, lengthMax, abortSignal);
        return ask('GetObject', ending, get, transferMs(lengthMax));
      };
      const wanted = last === undefined ? CHUNK_BYTES : Math.min(last + 1 - first, PIECE_BYTES);
      const piece = await read(first, wanted, null, signal);
      if (piece === null) return null;
      const end = Math.min(last === undefined ? piece.objectBytes : last + 1, piece.objectBytes);
      return objectStream((ending) => readPieces(piece, first, end, read, ending), signal);
    },

    head: async (key, signal) => {
      const Key = requireKey(key);
      return ask('HeadObject', signal, async (abortSignal) => {
        try {
          const head = await client.send(new HeadObjectCommand({ Bucket, Key }), { abortSignal });
          return { sizeBytes: head.ContentLength ?? 0, modifiedAt: head.LastModified ?? new Date(0) };
        } catch (error) {
          if (s3Status(error) !== 404) throw error;
          // An answer to HEAD has no body that would tell a missing object from a missing bucket.
          await client.send(new HeadBucketCommand({ Bucket }), { abortSignal });
          return null;
        }
      });
    },

    delete: async (key, signal) => {
      const command = new DeleteObjectCommand({ Bucket, Key: requireKey(key) });
      await ask('DeleteObject', signal, (abortSignal) => client.send(command, { abortSignal }));
    },

    async *list(Prefix, signal) {
      let ContinuationToken: string | undefined;
      do {
        const command = new ListObjectsV2Command({ Bucket, Prefix, ContinuationToken });
        const page = await ask('ListObjectsV2', signal, (abortSignal) =>
          client.send(command, { abortSignal }),
        );
        for (const { Key, Size, LastModified } of page.Contents ?? [])
          yield { key: Key!, sizeBytes: Size ?? 0, modifiedAt: LastModified ?? new Date(0) };
        ContinuationToken = page.IsTruncated ? page.NextContinuationToken : undefined;
      } while (ContinuationToken !== undefined);
    },

    abortUploads: (prefix, before, signal) => abortUploads(client, ask, Bucket, prefix, before, signal),

    presignPut: async (key, { sizeBytes, sha256, mediaType }, expiresIn) => {
      const ChecksumSHA256 = Buffer.from(sha256, 'hex').toString('base64');
      const object = { Bucket, Key: requireKey(key), ContentType: mediaType, ContentLength: sizeBytes };
      const url = await getSignedUrl(linkClient, new PutObjectCommand({ ...object, ChecksumSHA256 }), {
        expiresIn,
        // As headers, for a checksum in the query is signed and then not compared.
        unhoistableHeaders: new Set(['x-amz-checksum-sha256']),
        signableHeaders: new Set(['host', 'content-type', 'content-length', 'x-amz-checksum-sha256']),
      });
      const headers = { 'Content-Type': mediaType, 'Content-Length': `${sizeBytes}` };
      return { url, headers: { ...headers, 'x-amz-checksum-sha256': ChecksumSHA256 } };
    },

    presignGet: async (key, { disposition, mediaType }, expiresIn) => {
      const answer = { ResponseContentDisposition: disposition, ResponseContentType: mediaType };
      const command = new GetObjectCommand({ Bucket, Key: requireKey(key), ...answer });
      return { url: await getSignedUrl(linkClient, command, { expiresIn }) };
    },
  };
}

type ReadPiece = (
  from: number,
  lengthMax: number,
  etag: string,
  signal: AbortSignal,
) => Promise<Piece | null>;

/**
 * The chunks of a piece and of all after it. The next piece is fetched when the last chunk of one is asked for, so
 * that a slow reader holds little.
 */
async function* readPieces(
  piece: Piece,
  first: number,
  end: number,
  read: ReadPiece,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let at = first;
  for (let current: Piece | null = piece; current !== null; ) {
    const { chunks, sizeBytes }: Piece = current;
    if (sizeBytes === 0 && at < end) throw new Error('S3 ended an object early');
    at += sizeBytes;
    while (chunks.length > 1) yield chunks.shift()!;
    const next: Promise<Piece | null> =
      at < end ? read(at, Math.min(PIECE_BYTES, end - at), piece.etag, signal) : Promise.resolve(null);
    // It is awaited only after the last chunk of this one was taken, which may be never.
    next.catch(() => {});
    yield* chunks.splice(0);
    current = await next;
  }
}

async function abortUploads(
  client: S3Client,
  ask: CallS3,
  Bucket: string,
  Prefix: string,
  before: Date,
  signal?: AbortSignal,
): Promise<number> {
  let ended = 0;
  let marker: { KeyMarker?: string | undefined; UploadIdMarker?: string | undefined } | null = {};
  while (marker !== null) {
    const list: ListMultipartUploadsCommand = new ListMultipartUploadsCommand({ Bucket, Prefix, ...marker });
    const page = await ask('ListMultipartUploads', signal, (s) => client.send(list, { abortSignal: s }));
    for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
      if (!Initiated || Initiated >= before) continue;
      const abort = new AbortMultipartUploadCommand({ Bucket, Key, UploadId });
      await ask('AbortMultipartUpload', signal, async (abortSignal) => {
        await client.send(abort, { abortSignal }).catch((error) => {
          if (error?.name !== 'NoSuchUpload') throw error;
        });
      });
      ended++;
    }
    const { NextKeyMarker: KeyMarker, NextUploadIdMarker: UploadIdMarker } = page;
    marker = page.IsTruncated && KeyMarker ? { KeyMarker, UploadIdMarker } : null;
  }
  return ended;
}
