import { describe, expect, test } from 'bun:test';
import { explainError, plural, table } from '../../../src/cli/output.ts';
import { AtlasError } from '../../../src/errors.ts';

describe('a table', () => {
  test('aligns text on the left and numbers on the right', () => {
    const rows = [
      ['transfers', 7, 'ok'],
      ['a', 1234, 'late'],
    ];
    expect(table(['name', 'count', 'state'], rows).split('\n')).toEqual([
      'name       count  state',
      'transfers      7  ok',
      'a           1234  late',
    ]);
  });

  test('has no trailing spaces', () => {
    expect(table(['a', 'b'], [['long text', '']])).toBe('a          b\nlong text');
  });

  test('has one line per row and no escape sequences, whatever others have chosen as names', () => {
    const name = 'acme  active\nb\r\u001b[2K\u009b1m\u2028\u202e';
    expect(table(['name'], [[name], ['é 💥']])).toBe(
      'name\nacme  active\\u000ab\\u000d\\u001b[2K\\u009b1m\\u2028\\u202e\né 💥',
    );
  });

  test('without rows is only its head', () => {
    expect(table(['a', 'b'], [])).toBe('a  b');
  });
});

test('a count has its noun in the singular only for one', () => {
  expect([0, 1, 2].map((count) => plural(count, 'key'))).toEqual(['0 keys', '1 key', '2 keys']);
});

describe('an error', () => {
  const databaseError = (code: string) => Object.assign(new Error('the reason'), { code });

  test('of a database that cannot be used says why and what to do', () => {
    expect(explainError(databaseError('28P01'))).toMatch(
      /^PostgreSQL is unavailable\.\n {2}why: {2}the reason\n {2}do: {3}check DATABASE_URL /,
    );
    expect(explainError(databaseError('42P01'))).toBe(
      'The database schema is out of date.\n  why:  the reason\n  do:   npm run migrate',
    );
  });

  test('of a read-only database says so, also as the cause of what a request gets', () => {
    const refused = new AtlasError('dependency_unavailable', 'PostgreSQL cannot accept this request now.', {
      cause: databaseError('25006'),
    });
    for (const error of [databaseError('25006'), refused])
      expect(explainError(error)).toMatch(
        /^PostgreSQL is read-only\.\n {2}why: {2}the reason; it is a standby, .*\n {2}do: {3}set DATABASE_URL to the primary/,
      );
  });

  test('of a server that refuses a setting of the session does not blame its availability', () => {
    for (const reason of [
      'unrecognized configuration parameter "idle_session_timeout"',
      'unsupported startup parameter: search_path',
    ]) {
      const error = Object.assign(new Error(reason), { code: '08P01' });
      expect(explainError(error)).toMatch(
        /^PostgreSQL refuses a setting that Atlas relies on\.\n {2}why: {2}un.*\n {2}do: {3}use PostgreSQL 15/,
      );
    }
  });

  test('about a file says why and what to do, also as the cause of another one', () => {
    const file = Object.assign(new Error("EROFS: read-only file system, open '/a'"), {
      code: 'EROFS',
      path: '/a',
    });
    const rest = "\n  why:  EROFS: read-only file system, open '/a'\n  do:   mount its file system writable";
    expect(explainError(file)).toBe(`A file or folder cannot be used.${rest}`);
    expect(explainError(new Error('The store failed.', { cause: file }))).toBe(`The store failed.${rest}`);
    const explained = 'The folder failed.\n  why:  it does\n  do:   wait';
    expect(explainError(new Error(explained, { cause: file }))).toBe(explained);
  });

  test('of anything else is its message', () => {
    expect(explainError(databaseError('22000'))).toBe('the reason');
    expect(explainError('a text')).toBe('a text');
  });
});
