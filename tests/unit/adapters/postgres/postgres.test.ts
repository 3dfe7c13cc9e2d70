import { describe, expect, test } from 'bun:test';
import {
  inTime,
  isConnectionLoss,
  isTransient,
  mapDatabaseError,
} from '../../../../src/adapters/postgres/postgres.ts';

const failure = (code: string) => Object.assign(new Error('as the driver throws it'), { code });

describe('a failed transaction', () => {
  test.each(['40001', '40P01'])('is transient when another transaction won the conflict (%s)', (code) => {
    expect(isTransient(failure(code))).toBe(true);
    expect(isConnectionLoss(failure(code))).toBe(false);
  });

  test.each(['08006', '57P01', 'CONNECTION_CLOSED', 'ECONNREFUSED'])(
    'is transient when its connection was lost (%s)',
    (code) => {
      expect(isTransient(failure(code))).toBe(true);
    },
  );

  test.each(['23505', '22P02', '57014', ''])('is not transient for any other error (%s)', (code) => {
    expect(isTransient(failure(code))).toBe(false);
  });
});

test('a transient error is recognized behind the error that callers get', () => {
  expect(isTransient(mapDatabaseError(failure('40001')))).toBe(true);
  expect(isTransient(mapDatabaseError(failure('CONNECTION_CLOSED')))).toBe(true);
  expect(isTransient(mapDatabaseError(failure('57014')))).toBe(false);
});

describe('work with a time limit', () => {
  test('counts as a lost connection when the server stays silent', async () => {
    const silent = inTime(new Promise(() => {}), 5).catch((error: unknown) => error);
    expect(isConnectionLoss(await silent)).toBe(true);
  });

  test('returns a result in time, and rethrows an error', async () => {
    expect(await inTime(Promise.resolve(7), 1000)).toBe(7);
    await expect(inTime(Promise.reject(failure('23505')), 1000)).rejects.toMatchObject({ code: '23505' });
  });
});

describe('the error that callers get', () => {
  test.each(['53100', '25006', '40001'])(
    'for a server that cannot write is dependency_unavailable (%s)',
    (code) => {
      expect(mapDatabaseError(failure(code))).toMatchObject({ code: 'dependency_unavailable' });
    },
  );

  test('for a lost connection is dependency_unavailable with Retry-After', () => {
    expect(mapDatabaseError(failure('ECONNREFUSED'))).toMatchObject({
      code: 'dependency_unavailable',
      retryAfterSeconds: 1,
    });
  });

  test('for a query that took too long is deadline_exceeded', () => {
    expect(mapDatabaseError(failure('57014'))).toMatchObject({ code: 'deadline_exceeded' });
  });

  test('for anything else is the error itself', () => {
    const surprise = failure('23505');
    expect(mapDatabaseError(surprise)).toBe(surprise);
  });
});
