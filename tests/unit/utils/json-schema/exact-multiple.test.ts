import { expect, test } from 'bun:test';
import { isExactMultiple } from '../../../../src/utils/json-schema/exact-multiple.ts';

test.each<[number, number, boolean]>([
  [19.99, 0.01, true],
  [0.3, 0.1, true],
  [4.35, 0.01, true],
  [19.995, 0.01, false],
  [-7, 3.5, true],
  [0, 5, true],
  [1e308, 1e-308, true],
  [1e21, 3, false],
  [5e-324, 1, false],
])('%p is a multiple of %p: %p', (value, of, expected) => {
  expect(isExactMultiple(value, of)).toBe(expected);
});
