import { expect, test } from 'bun:test';
import { isS3Failure, mapS3Error, s3Status } from '../../../../src/adapters/s3/s3-client.ts';
import { AtlasError } from '../../../../src/errors.ts';

/** An error as the SDK throws it for a response; without a status, for a request that got none. */
function s3Error(name: string, httpStatusCode?: number): Error {
  const $metadata = httpStatusCode === undefined ? {} : { httpStatusCode };
  return Object.assign(new Error(name), { name, $metadata });
}

test('the status of an error is that of the response, if there was one', () => {
  expect(s3Status(s3Error('NoSuchKey', 404))).toBe(404);
  expect(s3Status(s3Error('TimeoutError'))).toBeUndefined();
  expect(s3Status(null)).toBeUndefined();
});

test.each([
  s3Error('TimeoutError'),
  s3Error('InternalError', 500),
  s3Error('SlowDown', 503),
  s3Error('RequestTimeout', 400),
  s3Error('TooManyRequests', 429),
  s3Error('BadDigest', 400),
  s3Error('XAmzContentChecksumMismatch', 400),
  s3Error('SyntaxError', 200),
])('%s is a failure of S3, which a retry may pass', (error) => {
  expect(isS3Failure(error)).toBe(true);
  expect(mapS3Error(error)).toMatchObject({ code: 'dependency_unavailable', cause: error });
});

test.each([s3Error('NoSuchBucket', 404), s3Error('SignatureDoesNotMatch', 403), s3Error('InvalidPart', 400)])(
  '%s is a response, which callers get as a rejected request',
  (error) => {
    expect(isS3Failure(error)).toBe(false);
    const mapped = mapS3Error(error);
    expect(mapped).toMatchObject({ code: 'dependency_unavailable', cause: error });
    expect(mapped.message).toBe('The object store rejected the request.');
  },
);

test('an error of Atlas is passed on', () => {
  const error = new AtlasError('file_corrupt', 'damaged');
  expect(isS3Failure(error)).toBe(false);
  expect(mapS3Error(error)).toBe(error);
});

test('any error after the deadline of the caller is a deadline', () => {
  expect(mapS3Error(s3Error('AbortError'), AbortSignal.abort()).code).toBe('deadline_exceeded');
});
