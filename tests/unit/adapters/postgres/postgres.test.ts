import { describe, expect, test } from 'bun:test';
import {
  inTime,
  isConnectionLoss,
  isTransient,
  mapDatabaseError,
} from '../../../../src/adapters/postgres/postgres.ts';

const failure = (code: string) => Object.assign(new Error('as the driver throws it'), { code });

describe('a failed transaction', () => {
  test.each(['40001', '40P01'])('is worth running again when it lost to another one (%s)', (code) => {
    expect(isTransient(failure(code))).toBe(true);
    expect(isConnectionLoss(failure(code))).toBe(false);
  });

  test.each(['08006', '57P01', 'CONNECTION_CLOSED', 'ECONNREFUSED'])(
    'is worth running again when its connection was lost (%s)',
    (code) => {
      expect(isTransient(failure(code))).toBe(true);
    },
  );

  test.each(['23505', '22P02', '57014', ''])('is not run again for what will not change (%s)', (code) => {
    expect(isTransient(failure(code))).toBe(false);
  });
});

describe('work with a time limit', () => {
  test('counts as a lost connection when the server stays silent', async () => {
    const silent = inTime(new Promise(() => {}), 5).catch((error: unknown) => error);
    expect(isConnectionLoss(await silent)).toBe(true);
  });

  test('passes on what came in time, and why it failed', async () => {
    expect(await inTime(Promise.resolve(7), 1000)).toBe(7);
    await expect(inTime(Promise.reject(failure('23505')), 1000)).rejects.toMatchObject({ code: '23505' });
  });
});

describe('what a caller is told', () => {
  test.each(['53100', '25006', '40001'])('of a server that cannot write is 503 (%s)', (code) => {
    expect(mapDatabaseError(failure(code))).toMatchObject({ code: 'dependency_unavailable' });
  });

  test('of a lost connection is 503 with a time to wait', () => {
    expect(mapDatabaseError(failure('ECONNREFUSED'))).toMatchObject({
      code: 'dependency_unavailable',
      retryAfterSeconds: 1,
    });
  });

  test('of a query that took too long is that the deadline passed', () => {
    expect(mapDatabaseError(failure('57014'))).toMatchObject({ code: 'deadline_exceeded' });
  });

  test('of anything else is nothing: it stays the error it was', () => {
    const surprise = failure('23505');
    expect(mapDatabaseError(surprise)).toBe(surprise);
  });
});
