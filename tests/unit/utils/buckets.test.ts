import { expect, test } from 'bun:test';
import { BUCKETS_MS, bucketOf } from '../../../src/utils/buckets.ts';

test('a duration belongs to the first bucket whose bound it does not exceed', () => {
  for (const [i, boundMs] of BUCKETS_MS.entries()) {
    expect(bucketOf(boundMs)).toBe(i);
    expect(bucketOf(boundMs + 0.001)).toBe(i + 1);
  }
  expect(bucketOf(0)).toBe(0);
  expect(bucketOf(Number.POSITIVE_INFINITY)).toBe(BUCKETS_MS.length);
});

test('the bounds match the metrics contract', () => {
  expect([...BUCKETS_MS]).toEqual([5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000]);
});
