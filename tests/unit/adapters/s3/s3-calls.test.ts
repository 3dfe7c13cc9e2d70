import { afterEach, beforeEach, expect, test } from 'bun:test';
import type { S3Client } from '@aws-sdk/client-s3';
import { callS3, transferMs } from '../../../../src/adapters/s3/s3-calls.ts';

const MIB = 1_048_576;
const NO_CLIENT = {} as S3Client;
const LIMITS = { bucket: 'atlas', attemptsMax: 1, failureThreshold: 100, recoveryTimeoutMs: 60_000 };

let s3: ReturnType<typeof callS3>;
beforeEach(() => {
  s3 = callS3(NO_CLIENT, LIMITS);
});
afterEach(() => {
  for (const dependency of s3.dependencies) dependency.close();
});

/** A request without a response, which ends when its signal aborts. */
const unanswered = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));

test('a transfer has 30 s for up to 5 MiB, and time in proportion above', () => {
  expect(transferMs(0)).toBe(30_000);
  expect(transferMs(5 * MIB)).toBe(30_000);
  expect(transferMs(50 * MIB)).toBe(300_000);
});

test('a transfer is aborted at its own timeout', async () => {
  let seen: AbortSignal | undefined;
  const send = (signal: AbortSignal) => {
    seen = signal;
    return unanswered(signal);
  };
  const error = await s3.call('PutObject', undefined, send, 20).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: 'deadline_exceeded' });
  expect(seen?.aborted).toBe(true);
});

test('transfers that fill their slots leave short calls theirs, and further ones are refused with Retry-After', async () => {
  const callers = new AbortController();
  const transfers = Array.from({ length: 128 }, () =>
    s3.call('GetObject', callers.signal, unanswered, 60_000).catch(() => 'ended'),
  );
  const refused = await s3.call('GetObject', undefined, unanswered, 60_000).catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: 'overloaded', retryAfterSeconds: 1 });
  expect(await s3.call('DeleteObject', undefined, async () => 'deleted')).toBe('deleted');
  callers.abort();
  expect(new Set(await Promise.all(transfers))).toEqual(new Set(['ended']));
});
