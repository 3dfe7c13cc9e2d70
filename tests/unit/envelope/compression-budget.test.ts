import { expect, test } from 'bun:test';
import { CompressionBudget } from '../../../src/envelope/compression-budget.ts';
import { bytesRetainedOfOwners, FEW_BYTES } from '../../support/retained-bytes.ts';

const MEBIBYTE = 1_048_576;
const take = (budget: CompressionBudget, owner: string | null, count: number) =>
  Array.from({ length: count }, () => budget.take(owner)).filter((slot) => slot !== null);

test('a worker compresses at most 16 responses at a time, and one owner half of them', () => {
  const budget = new CompressionBudget(() => false);
  const [first] = take(budget, 'a', 20);
  expect(take(budget, 'a', 1)).toHaveLength(0);
  expect(take(budget, null, 20)).toHaveLength(8);
  expect(take(budget, 'c', 1)).toHaveLength(0);
  first!.release(true);
  expect(take(budget, 'c', 2)).toHaveLength(1);
});

test('an owner that has released a slot gets one again, and not its share a second time', () => {
  const budget = new CompressionBudget(() => false);
  const [first, second] = take(budget, 'a', 20);
  first!.release(true);
  second!.release(true);
  expect(take(budget, 'a', 20)).toHaveLength(2);
});

test('a slot that was not used for a body releases no bytes', () => {
  const budget = new CompressionBudget(() => false);
  for (let i = 0; i < 100; i++) for (const slot of take(budget, 'a', 8)) slot.release(false);
  const [first, second, third] = ['a', 'b', 'c'].map((owner) => budget.take(owner)!);
  expect([first!.take(4 * MEBIBYTE), second!.take(4 * MEBIBYTE), third!.take(1)]).toEqual([
    true,
    true,
    false,
  ]);
});

test('owners that compress nothing are forgotten', () => {
  const budget = new CompressionBudget(() => false);
  expect(bytesRetainedOfOwners((owner) => budget.take(owner)!.release(true))).toBeLessThan(FEW_BYTES);
});

test('a worker compresses at most 8 MiB at a time, and one owner half of them', () => {
  const budget = new CompressionBudget(() => false);
  const [first, second, third] = take(budget, 'a', 3);
  expect(first!.take(3 * MEBIBYTE)).toBe(true);
  expect(second!.take(2 * MEBIBYTE)).toBe(false);
  second!.release(false);
  const [other, late] = take(budget, 'b', 2);
  expect(other!.take(4 * MEBIBYTE)).toBe(true);
  const [last] = take(budget, 'c', 1);
  expect(last!.take(2 * MEBIBYTE)).toBe(false);
  last!.release(false);
  first!.release(true);
  expect(third!.take(4 * MEBIBYTE)).toBe(true);
  expect(late!.take(1)).toBe(false);
});

test('what was released is available again, however often', () => {
  const budget = new CompressionBudget(() => false);
  for (let round = 0; round < 100; round++) {
    const slots = [...take(budget, 'a', 20), ...take(budget, 'b', 20)];
    expect(slots).toHaveLength(16);
    for (const slot of slots) slot.take(MEBIBYTE);
    for (const slot of slots) slot.release(true);
  }
});

test('nothing is compressed while the event loop is late, and outcomes are counted', () => {
  let isLate = true;
  const budget = new CompressionBudget(() => isLate);
  expect(take(budget, 'a', 3)).toHaveLength(0);
  isLate = false;
  for (const slot of take(budget, 'a', 10)) slot.release(true);
  expect(budget.outcomes).toEqual({ compressed: 8, full: 2, late: 3 });
  const [large, small] = take(budget, 'a', 2);
  expect(large!.take(5 * MEBIBYTE)).toBe(false);
  large!.release(false);
  small!.release(false);
  expect(budget.outcomes).toEqual({ compressed: 8, full: 3, late: 3 });
});
