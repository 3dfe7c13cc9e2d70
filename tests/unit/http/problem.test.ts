import { describe, expect, test } from 'bun:test';
import { AbortReason } from '../../../src/envelope/exchange.ts';
import { AtlasError, type ErrorCode } from '../../../src/errors.ts';
import { PROBLEM_KINDS } from '../../../src/features.ts';
import { createToProblem, ProblemSchema } from '../../../src/http/problem.ts';
import { exchangeOf } from '../../support/exchange.ts';

const CODES = Object.keys(PROBLEM_KINDS) as ErrorCode[];

/** Maps an error for a request with a fixed ID, and records the reports. */
function mapped(error: unknown, abort?: AbortReason) {
  const { exchange } = exchangeOf();
  if (abort !== undefined) exchange.abort(abort);
  exchange.requestId = 'request-1';
  const unexpected: unknown[] = [];
  const unavailable: unknown[] = [];
  const toProblem = createToProblem(PROBLEM_KINDS, {
    unexpected: (found) => unexpected.push(found),
    unavailable: (found) => unavailable.push(found),
  });
  return { response: toProblem(error, exchange), unexpected, unavailable };
}

describe('every error code', () => {
  test.each(CODES)('%s has a status, a title, a cause and a remedy', (code) => {
    const { status, title, cause, remedy } = PROBLEM_KINDS[code]!;
    expect(status).toBeWithin(400, 600);
    for (const text of [title, cause, remedy]) expect(text.length).toBeGreaterThan(10);
  });

  test.each(CODES)('%s becomes a problem that fits its own schema', async (code) => {
    const { response } = mapped(new AtlasError(code, 'What happened.'));
    expect(response.headers.get('content-type')).toBe('application/problem+json');
    expect(response.headers.get('cache-control')).toBe('no-store');
    const body = await response.json();
    expect(ProblemSchema.parse(body)).toEqual({
      type: `/problems/${code}`,
      title: PROBLEM_KINDS[code]!.title,
      status: response.status,
      detail: 'What happened.',
      requestId: 'request-1',
    });
  });

  test('is 429 for overload, and 503 for unavailable dependencies', () => {
    expect(PROBLEM_KINDS.overloaded!.status).toBe(429);
    expect(PROBLEM_KINDS.queue_full!.status).toBe(429);
    expect(PROBLEM_KINDS.dependency_unavailable!.status).toBe(503);
  });

  test('has a unique title', () => {
    expect(new Set(Object.values(PROBLEM_KINDS).map(({ title }) => title)).size).toBe(CODES.length);
  });
});

describe('an expected error', () => {
  test('returns its errors, headers, and Retry-After, but never its cause', async () => {
    const errors = [{ pointer: '/amount', detail: 'must be at least 1' }];
    const { response, unexpected } = mapped(
      new AtlasError('queue_full', 'Full.', {
        errors,
        retryAfterSeconds: 3,
        headers: { RateLimit: '"shed";r=0;t=3' },
        cause: new Error('secret: pool of db-7'),
      }),
    );
    expect(response.status).toBe(429);
    expect(response.headers.get('retry-after')).toBe('3');
    expect(response.headers.get('ratelimit')).toBe('"shed";r=0;t=3');
    const text = await response.text();
    expect(JSON.parse(text).errors).toEqual(errors);
    expect(text).not.toContain('secret');
    expect(unexpected).toEqual([]);
  });

  test('is reported if a dependency is unavailable', () => {
    const error = new AtlasError('dependency_unavailable', 'PostgreSQL cannot be reached.');
    expect(mapped(error).unavailable).toEqual([error]);
    expect(mapped(error).unexpected).toEqual([]);
  });
});

describe('an unexpected error', () => {
  test.each([
    ['an error', new Error('relation "secret_table" does not exist')],
    ['an error with a code', Object.assign(new Error('secret'), { code: '42P01', detail: 'secret' })],
    ['a text', 'secret text'],
    ['an object', { status: 200, message: 'secret', code: 'not_found' }],
    ['nothing', undefined],
  ])('is hidden from the caller and reported in full: %s', async (_, error) => {
    const { response, unexpected } = mapped(error);
    expect(response.status).toBe(500);
    const text = await response.text();
    expect(text).not.toContain('secret');
    expect(JSON.parse(text)).toEqual({
      type: '/problems/internal',
      title: PROBLEM_KINDS.internal!.title,
      status: 500,
      detail: 'The error was logged under the request ID.',
      requestId: 'request-1',
    });
    expect(unexpected).toEqual([error]);
  });
});

test.each([
  ['disconnect', 499, 'request_aborted'],
  ['deadline', 504, 'deadline_exceeded'],
] as const)(
  'work that an abort ended (%s) did not fail: no error is reported',
  async (kind, status, code) => {
    const reason = new AbortReason(kind);
    const { response, unexpected } = mapped(reason, reason);
    expect([response.status, unexpected]).toEqual([status, []]);
    expect(await response.json()).toMatchObject({ type: `/problems/${code}` });
  },
);

test('a failure of a request that was also aborted is reported', () => {
  const error = new Error('broken');
  expect(mapped(error, new AbortReason('disconnect')).unexpected).toEqual([error]);
});
