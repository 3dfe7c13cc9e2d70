import { afterEach, beforeEach, expect, mock, spyOn, test } from 'bun:test';
import { LeakyBuckets } from '../../../src/utils/leaky-buckets.ts';

let clockMs = 0;
beforeEach(() => void spyOn(performance, 'now').mockImplementation(() => clockMs));
afterEach(() => mock.restore());

test('a bucket is full from its capacity on until enough has drained, and others are not', () => {
  const buckets = new LeakyBuckets(100);
  buckets.add('a', 100);
  expect(buckets.isFull('a')).toBe(false);
  buckets.add('a', 1);
  expect([buckets.isFull('a'), buckets.isFull('b')]).toEqual([true, false]);
  clockMs += 1;
  expect(buckets.isFull('a')).toBe(false);
  clockMs += 1000;
  buckets.add('a', 100);
  expect(buckets.isFull('a')).toBe(false);
});

test('buckets that are empty are forgotten, and if too many are not, all of them', () => {
  const buckets = new LeakyBuckets(100);
  for (let i = 0; i < 10_000; i++) {
    clockMs += 1;
    buckets.add(`drained ${i}`, 1);
  }
  expect(buckets.size).toBeLessThanOrEqual(1024);
  for (let i = 0; i < 10_000; i++) buckets.add(`full ${i}`, 1_000_000);
  expect(buckets.size).toBeLessThanOrEqual(1024);
});
