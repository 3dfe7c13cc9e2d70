import { HeadBucketCommand, type S3Client } from '@aws-sdk/client-s3';
import { AtlasError } from '../../errors.ts';
import { CallTimeout } from '../../resilience/adaptive-timeout.ts';
import { BulkheadFull } from '../../resilience/bulkhead.ts';
import { Dependency } from '../../resilience/dependency.ts';
import { storeTooSlow, storeUnavailable } from '../object-store/object-store.ts';
import { partBytes } from './part-buffer.ts';
import { isS3Failure, mapS3Error } from './s3-client.ts';

/** Limits on the calls to an S3 (`RETRY_MAX_ATTEMPTS`, `CIRCUIT_BREAKER_*`). */
export interface S3Limits {
  readonly bucket: string;
  readonly attemptsMax: number;
  readonly failureThreshold: number;
  readonly recoveryTimeoutMs: number;
}

/**
 * Makes one call to S3. A transfer of object bytes has its own timeout, `transferMs`; the timeout of any other call
 * adapts to recent latencies. Throws only AtlasErrors.
 */
export type CallS3 = <T>(
  operation: string,
  signal: AbortSignal | undefined,
  send: (signal: AbortSignal) => Promise<T>,
  transferMs?: number,
) => Promise<T>;

const CALLS = { concurrencyMax: 64, waitingMax: 64, timeoutFloorMs: 1000, timeoutMaxMs: 10_000 };
// A transfer takes as long as its size demands, so its timeout cannot adapt to the latency of others.
const TRANSFERS = { concurrencyMax: 64, waitingMax: 64, timeoutFloorMs: 300_000, timeoutMaxMs: 300_000 };
const TRANSFER_MS_MIN = 30_000;
const SILENCE_MS = 5000;
const RETRY_AFTER_SECONDS = 1;

/** Returns the timeout for a transfer of so many bytes: 30 s for 5 MiB or less, and proportional above. */
export function transferMs(sizeBytes: number): number {
  return TRANSFER_MS_MIN * Math.max(1, sizeBytes / partBytes(1));
}

/**
 * Guards the calls to an S3 with two dependencies: one for short calls and one for transfers, which therefore cannot
 * take every slot from a delete. All calls are idempotent; `abortUploads` cleans up an upload that was initiated twice.
 */
export function callS3(
  client: S3Client,
  { bucket, ...limits }: S3Limits,
): { readonly call: CallS3; readonly dependencies: readonly Dependency[] } {
  const common = {
    ...limits,
    silenceMs: SILENCE_MS,
    attributes: { 'rpc.system': 'aws-api', 'rpc.service': 'S3', 'aws.s3.bucket': bucket },
    isFailure: isS3Failure,
    probe: (abortSignal: AbortSignal) =>
      client.send(new HeadBucketCommand({ Bucket: bucket }), { abortSignal }),
    unavailable,
  };
  const calls = new Dependency({ name: 's3', ...CALLS, ...common });
  const transfers = new Dependency({ name: 's3-transfers', ...TRANSFERS, ...common });
  const call: CallS3 = async (operation, signal, send, limitMs) => {
    try {
      if (limitMs === undefined) return await calls.call(operation, send, { signal, idempotent: true });
      const attempt = (ending: AbortSignal) => sendWithin(operation, limitMs, ending, send);
      return await transfers.call(operation, attempt, { signal, idempotent: true });
    } catch (error) {
      throw mapS3Error(error, signal);
    }
  };
  return { call, dependencies: [calls, transfers] };
}

/** Sends with a signal that also aborts after `limitMs`, and then throws `CallTimeout`. */
async function sendWithin<T>(
  operation: string,
  limitMs: number,
  signal: AbortSignal,
  send: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(new CallTimeout(`s3 ${operation}`, limitMs)), limitMs);
  try {
    return await send(AbortSignal.any([signal, late.signal]));
  } catch (error) {
    throw late.signal.aborted ? late.signal.reason : error;
  } finally {
    clearTimeout(timer);
  }
}

/** The error for a call that was not sent, or not completed in time. */
function unavailable(cause: unknown): AtlasError {
  if (cause instanceof CallTimeout) return storeTooSlow(cause);
  if (!(cause instanceof BulkheadFull)) return storeUnavailable(cause);
  return new AtlasError('overloaded', 'Too many calls to the object store are in flight.', {
    cause,
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  });
}
