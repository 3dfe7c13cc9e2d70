import { describe, expect, test } from 'bun:test';
import { readSqlFunctions } from '../../../src/adapters/postgres/sql-functions.ts';
import { isRefused, readReleased, toReleased } from './released-functions/released.ts';

describe('the SQL functions', () => {
  test('are the frozen ones: a changed text has a higher number', async () => {
    const functions = await readSqlFunctions();
    // After a change, raise the number and run: bun tests/contract/postgres/released-functions/freeze.ts
    expect(Object.fromEntries(functions.map((wanted) => [wanted.name, toReleased(wanted)]))).toEqual(
      readReleased(),
    );
  });

  const released = { number: 2, sha256: 'a' };
  test.each([
    ['a new function', undefined, { number: 1, sha256: 'a' }, false],
    ['the same text', released, { number: 2, sha256: 'a' }, false],
    ['a changed text with a higher number', released, { number: 3, sha256: 'b' }, false],
    ['a changed text with the same number', released, { number: 2, sha256: 'b' }, true],
    ['a lower number', released, { number: 1, sha256: 'a' }, true],
  ])('freezing handles %s', (_, before, wanted, refused) => {
    expect(isRefused(before, wanted)).toBe(refused);
  });
});
