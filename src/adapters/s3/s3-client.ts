import { S3Client } from '@aws-sdk/client-s3';
import { FetchHttpHandler } from '@smithy/fetch-http-handler';
import { AtlasError } from '../../errors.ts';
import { storeTooSlow, storeUnavailable } from '../object-store/object-store.ts';

/** The endpoint, bucket and credentials of an S3. */
export interface S3Access {
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

// S3 reports a body that was corrupted or truncated in transit with status 400. A retry may succeed.
const TRANSIT_ERROR = /^(?:BadDigest|XAmzContent(?:SHA256|Checksum)Mismatch|IncompleteBody|RequestTimeout)$/;
const RETRY_AFTER_SECONDS = 1;

/**
 * Opens a client, which connects at its first call. It never retries: `Dependency` handles retries and timeouts. It
 * uses `fetch`, because the SDK's default `node:http` handler takes 35 MB more memory on Bun during
 * uploads, and disables decompression, because a `Content-Encoding` is whatever the uploader claimed.
 */
export function openS3Client(access: S3Access): S3Client {
  const { endpoint, region, accessKeyId, secretAccessKey } = access;
  return new S3Client({
    endpoint,
    region,
    credentials: { accessKeyId, secretAccessKey },
    forcePathStyle: true,
    maxAttempts: 1,
    requestHandler: new FetchHttpHandler({ customFetch: fetchUndecoded }),
    // Readers verify their own SHA-256, which works for ranges too.
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
}

/** As an option of `fetch`, because a `Request` drops it. */
const fetchUndecoded = ((request: Request) => fetch(request, { decompress: false })) as typeof fetch;

/** Returns the HTTP status of an error, or undefined if there was no response. */
export function s3Status(error: unknown): number | undefined {
  return (error as { $metadata?: { httpStatusCode?: number } } | null)?.$metadata?.httpStatusCode;
}

/** Whether an error shows that S3 is unavailable, busy or unreadable, rather than a response to the request. */
export function isS3Failure(error: unknown): boolean {
  if (error instanceof AtlasError) return false;
  const status = s3Status(error);
  if (status === undefined || status < 400 || status >= 500 || status === 408 || status === 429) return true;
  return TRANSIT_ERROR.test((error as Error).name);
}

/** Maps an error of S3, or of the connection to it. */
export function mapS3Error(error: unknown, signal?: AbortSignal): AtlasError {
  if (error instanceof AtlasError) return error;
  if (signal?.aborted) return storeTooSlow(error);
  if (isS3Failure(error)) return storeUnavailable(error);
  // Wrong credentials, a missing bucket or missing permissions: operators find the cause in the log.
  return new AtlasError('dependency_unavailable', 'The object store rejected the request.', {
    cause: error,
    retryAfterSeconds: RETRY_AFTER_SECONDS,
    remedy:
      'Check S3_ENDPOINT, S3_BUCKET, the keys, their permissions on the bucket, and the clock of this host.',
  });
}
