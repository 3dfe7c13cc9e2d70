import { S3Client } from '@aws-sdk/client-s3';
import { FetchHttpHandler } from '@smithy/fetch-http-handler';
import { AtlasError } from '../../errors.ts';
import { storeTooSlow, storeUnavailable } from '../object-store/object-store.ts';

/** Where an S3 is, and who Atlas is there. */
export interface S3Access {
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

// What S3 says of a body that was spoiled or cut on its way, with status 400: the same again may arrive well.
const SPOILED = /^(?:BadDigest|XAmzContent(?:SHA256|Checksum)Mismatch|IncompleteBody|RequestTimeout)$/;
const RETRY_AFTER_SECONDS = 1;

/**
 * Opens a client, which connects when it is first used. It tries everything once: what is repeated, and for how long it
 * is waited for, is the business of `Dependency`. It goes through `fetch`: the SDK's own way through `node:http` takes
 * 35 MB more memory on Bun while it uploads, and `fetch` would unpack a `Content-Encoding` that an uploader made up.
 */
export function openS3Client(access: S3Access): S3Client {
  const { endpoint, region, accessKeyId, secretAccessKey } = access;
  return new S3Client({
    endpoint,
    region,
    credentials: { accessKeyId, secretAccessKey },
    forcePathStyle: true,
    maxAttempts: 1,
    requestHandler: new FetchHttpHandler({ requestInit: () => ({ decompress: false }) as RequestInit }),
    // Whoever reads compares a SHA-256 of its own, which holds for ranges too.
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
}

/** The status of the answer that an error is, or undefined when no answer was read. */
export function s3Status(error: unknown): number | undefined {
  return (error as { $metadata?: { httpStatusCode?: number } } | null)?.$metadata?.httpStatusCode;
}

/** Whether an error shows that S3 is away, busy or unreadable. Everything else is an answer. */
export function isS3Failure(error: unknown): boolean {
  if (error instanceof AtlasError) return false;
  const status = s3Status(error);
  if (status === undefined || status < 400 || status >= 500 || status === 408 || status === 429) return true;
  return SPOILED.test((error as Error).name);
}

/** Maps what S3 or the way to it threw. */
export function mapS3Error(error: unknown, signal?: AbortSignal): AtlasError {
  if (error instanceof AtlasError) return error;
  if (signal?.aborted) return storeTooSlow(error);
  if (isS3Failure(error)) return storeUnavailable(error);
  // A wrong key, a bucket that is not there, no right to do this: whoever runs Atlas finds the cause in the log.
  return new AtlasError('dependency_unavailable', 'The object store refuses what Atlas asks of it.', {
    cause: error,
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  });
}
