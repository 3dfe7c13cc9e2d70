import { describe, expect, test } from 'bun:test';
import { plural, table } from '../../../src/cli/output.ts';

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

  test('without rows is only its head', () => {
    expect(table(['a', 'b'], [])).toBe('a  b');
  });
});

test('a count has its noun in the singular only for one', () => {
  expect([0, 1, 2].map((count) => plural(count, 'key'))).toEqual(['0 keys', '1 key', '2 keys']);
});
