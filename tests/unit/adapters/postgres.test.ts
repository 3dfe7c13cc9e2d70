import { describe, expect, test } from 'bun:test';
import { isConnectionLoss, isTransient, mapDatabaseError } from '../../../src/adapters/postgres.ts';

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

describe('what a caller is told', () => {
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
