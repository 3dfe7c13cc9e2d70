import { describe, expect, test } from 'bun:test';
import { table } from '../../../src/cli/output.ts';

describe('a table', () => {
  test('aligns its columns, with texts on the left and numbers on the right', () => {
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

  test('has no blanks at the end of a line', () => {
    expect(table(['a', 'b'], [['long text', '']])).toBe('a          b\nlong text');
  });

  test('is only its head where there are no rows', () => {
    expect(table(['a', 'b'], [])).toBe('a  b');
  });
});
