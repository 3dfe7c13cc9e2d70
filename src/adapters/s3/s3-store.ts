import {
  AbortMultipartUploadCommand,
  DeleteObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  type S3Client,
} from '@aws-sdk/client-s3';
import type { Dependency } from '../../resilience/dependency.ts';
import { CHUNK_BYTES } from '../../utils/chunk-bytes.ts';
import { type ObjectStore, requireKey, storeTooSlow } from '../object-store/object-store.ts';
import { objectStream } from '../object-store/object-stream.ts';
import { type CallS3, callS3, type S3Limits, transferMs } from './s3-calls.ts';
import { openS3Client, type S3Access, s3Status } from './s3-client.ts';
import { PIECE_BYTES, type ReadPiece, readPiece, readPieces } from './s3-download.ts';
import { s3Links } from './s3-links.ts';
import { uploadS3 } from './s3-upload.ts';

/** How to reach and use an S3. */
export interface S3Options extends S3Access, S3Limits {
  /** The endpoint in presigned links, which callers use. */
  readonly publicEndpoint: string;
}

/** An object store and the dependencies that guard its calls. */
export interface OpenedObjectStore {
  readonly store: ObjectStore;
  readonly dependencies: readonly Dependency[];
  close(): void;
}

/** Opens an object store in an existing S3 bucket. Does not connect yet, so it never fails. */
export function openS3Store(options: S3Options): OpenedObjectStore {
  const client = openS3Client(options);
  const linkClient = openS3Client({ ...options, endpoint: options.publicEndpoint });
  const { call, dependencies } = callS3(client, options);
  const close = () => {
    for (const dependency of dependencies) dependency.close();
    client.destroy();
    linkClient.destroy();
  };
  const store = { ...s3Objects(client, options.bucket, call), ...s3Links(linkClient, options.bucket) };
  return { store, dependencies, close };
}

function s3Objects(
  client: S3Client,
  Bucket: string,
  call: CallS3,
): Omit<ObjectStore, 'presignPut' | 'presignGet'> {
  return {
    mode: 's3',
    check: null,
    links: null,

    put: async (key, body, { mediaType, signal }) => {
      const destination = { Bucket, Key: requireKey(key), ContentType: mediaType };
      try {
        return await uploadS3(client, call, destination, body, signal);
      } catch (error) {
        throw signal.aborted && error === signal.reason ? storeTooSlow(error) : error;
      }
    },

    get: async (key, { first = 0, last, signal }) => {
      const Key = requireKey(key);
      const read: ReadPiece = (from, lengthMax, etag, ending) => {
        const object = { Bucket, Key, ...(etag !== null && { IfMatch: etag }) };
        const get = (abortSignal: AbortSignal) => readPiece(client, object, from, lengthMax, abortSignal);
        return call('GetObject', ending, get, transferMs(lengthMax));
      };
      const firstBytes = last === undefined ? CHUNK_BYTES : Math.min(last + 1 - first, PIECE_BYTES);
      const piece = await read(first, firstBytes, null, signal);
      if (piece === null) return null;
      const end = Math.min(last === undefined ? piece.objectBytes : last + 1, piece.objectBytes);
      return objectStream((ending) => readPieces(piece, first, end, read, ending), signal);
    },

    head: async (key, signal) => {
      const Key = requireKey(key);
      return call('HeadObject', signal, async (abortSignal) => {
        try {
          const head = await client.send(new HeadObjectCommand({ Bucket, Key }), { abortSignal });
          return { sizeBytes: head.ContentLength ?? 0, modifiedAt: head.LastModified ?? new Date(0) };
        } catch (error) {
          if (s3Status(error) !== 404) throw error;
          // A response to HEAD has no body that would tell a missing object from a missing bucket.
          await client.send(new HeadBucketCommand({ Bucket }), { abortSignal });
          return null;
        }
      });
    },

    delete: async (key, signal) => {
      const command = new DeleteObjectCommand({ Bucket, Key: requireKey(key) });
      await call('DeleteObject', signal, (abortSignal) => client.send(command, { abortSignal }));
    },

    async *list(Prefix, signal) {
      let ContinuationToken: string | undefined;
      do {
        const command = new ListObjectsV2Command({ Bucket, Prefix, ContinuationToken });
        const page = await call('ListObjectsV2', signal, (abortSignal) =>
          client.send(command, { abortSignal }),
        );
        for (const { Key, Size, LastModified } of page.Contents ?? [])
          yield { key: Key!, sizeBytes: Size ?? 0, modifiedAt: LastModified ?? new Date(0) };
        ContinuationToken = page.IsTruncated ? page.NextContinuationToken : undefined;
      } while (ContinuationToken !== undefined);
    },

    abortUploads: (prefix, before, signal) => abortUploads(client, call, Bucket, prefix, before, signal),
  };
}

async function abortUploads(
  client: S3Client,
  call: CallS3,
  Bucket: string,
  Prefix: string,
  before: Date,
  signal?: AbortSignal,
): Promise<number> {
  let aborted = 0;
  let marker: { KeyMarker?: string | undefined; UploadIdMarker?: string | undefined } | null = {};
  while (marker !== null) {
    const list: ListMultipartUploadsCommand = new ListMultipartUploadsCommand({ Bucket, Prefix, ...marker });
    const page = await call('ListMultipartUploads', signal, (s) => client.send(list, { abortSignal: s }));
    for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
      if (!Initiated || Initiated >= before) continue;
      const abort = new AbortMultipartUploadCommand({ Bucket, Key, UploadId });
      await call('AbortMultipartUpload', signal, async (abortSignal) => {
        await client.send(abort, { abortSignal }).catch((error) => {
          if (error?.name !== 'NoSuchUpload') throw error;
        });
      });
      aborted++;
    }
    const { NextKeyMarker: KeyMarker, NextUploadIdMarker: UploadIdMarker } = page;
    marker = page.IsTruncated && KeyMarker ? { KeyMarker, UploadIdMarker } : null;
  }
  return aborted;
}
