import { HeadBucketCommand, type S3Client } from '@aws-sdk/client-s3';
import { AtlasError } from '../../errors.ts';
import { CallTimeout } from '../../resilience/adaptive-timeout.ts';
import { BulkheadFull } from '../../resilience/bulkhead.ts';
import { Dependency } from '../../resilience/dependency.ts';
import { storeTooSlow, storeUnavailable } from '../object-store/object-store.ts';
import { partBytes } from './part-buffer.ts';
import { isS3Failure, mapS3Error } from './s3-client.ts';

/** What the calls of an S3 keep to (`RETRY_MAX_ATTEMPTS`, `CIRCUIT_BREAKER_*`). */
export interface S3Limits {
  readonly bucket: string;
  readonly attemptsMax: number;
  readonly failureThreshold: number;
  readonly recoveryTimeoutMs: number;
}

/**
 * Makes one call of S3. One that sends or receives an object has a time of its own, `transferMs`; any other has a
 * timeout that adapts to what such calls take. Throws AtlasErrors only.
 */
export type CallS3 = <T>(
  operation: string,
  signal: AbortSignal | undefined,
  send: (signal: AbortSignal) => Promise<T>,
  transferMs?: number,
) => Promise<T>;

const CALLS = { concurrencyMax: 64, waitingMax: 64, timeoutFloorMs: 1000, timeoutMaxMs: 10_000 };
// How long a transfer takes depends on its size, so what others took says nothing of it.
const TRANSFERS = { concurrencyMax: 64, waitingMax: 64, timeoutFloorMs: 300_000, timeoutMaxMs: 300_000 };
const TRANSFER_MS_MIN = 30_000;
const SILENCE_MS = 5000;
const RETRY_AFTER_SECONDS = 1;

/** The time that sending or receiving so many bytes may take: 30 s for 5 MiB and for less. */
export function transferMs(sizeBytes: number): number {
  return TRANSFER_MS_MIN * Math.max(1, sizeBytes / partBytes(1));
}

/**
 * The guards of an S3: one for what is soon answered, one for the transfers, so that these cannot take every slot
 * from a delete. All that Atlas asks of S3 can be asked twice: what is left of an upload begun twice, `abortUploads`
 * ends.
 */
export function callS3(
  client: S3Client,
  { bucket, ...limits }: S3Limits,
): { readonly ask: CallS3; readonly dependencies: readonly Dependency[] } {
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
  const ask: CallS3 = async (operation, signal, send, limitMs) => {
    try {
      if (limitMs === undefined) return await calls.call(operation, send, { signal, idempotent: true });
      const attempt = (ending: AbortSignal) => inTime(operation, limitMs, ending, send);
      return await transfers.call(operation, attempt, { signal, idempotent: true });
    } catch (error) {
      throw mapS3Error(error, signal);
    }
  };
  return { ask, dependencies: [calls, transfers] };
}

/** Sends with a signal that aborts at the limit too; throws `CallTimeout` then. */
async function inTime<T>(
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

/** What callers get for a call that was not made, or not answered in time. */
function unavailable(cause: unknown): AtlasError {
  if (cause instanceof CallTimeout) return storeTooSlow(cause);
  if (!(cause instanceof BulkheadFull)) return storeUnavailable(cause);
  return new AtlasError('overloaded', 'As many transfers of files run as the object store is given.', {
    cause,
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  });
}
