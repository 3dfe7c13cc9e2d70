import { expect, test } from 'bun:test';
import { takePage } from '../../../../src/adapters/postgres/page-of-bytes.ts';

const rowsOf = (...sizes: number[]) => {
  let bytesSoFar = 0;
  return sizes.map((size, id) => {
    bytesSoFar += size;
    return { id, bytesSoFar };
  });
};
const take = (sizes: number[], limit: number) => {
  const { page, hasMore } = takePage(rowsOf(...sizes), limit, 100);
  return [page.map(({ id }) => id), hasMore];
};

test('a page ends at its limit, and the row after it says that there are more', () => {
  expect(take([1, 1, 1], 2)).toEqual([[0, 1], true]);
  expect(take([1, 1], 2)).toEqual([[0, 1], false]);
  expect(take([], 2)).toEqual([[], false]);
});

test('a page ends before the row that is too much', () => {
  expect(take([60, 41], 5)).toEqual([[0], true]);
  expect(take([60, 40], 5)).toEqual([[0, 1], false]);
  expect(take([60, 40, 1], 5)).toEqual([[0, 1], true]);
});

test('a row that is too large by itself is a page of its own', () => {
  expect(take([500], 5)).toEqual([[0], false]);
  expect(take([500, 1], 5)).toEqual([[0], true]);
});

test('a limit of zero takes nothing, and says whether there is something', () => {
  expect(take([500], 0)).toEqual([[], true]);
  expect(take([], 0)).toEqual([[], false]);
});
