import { expect, test } from 'bun:test';
import { CALL_OUTCOMES, CallStats } from '../../../src/resilience/call-stats.ts';
import { bucketOf } from '../../../src/utils/buckets.ts';

test('attempts are counted by outcome and by duration', () => {
  const stats = new CallStats();
  expect(stats.outcomes).toEqual(
    Object.fromEntries(CALL_OUTCOMES.map((outcome) => [outcome, 0])) as typeof stats.outcomes,
  );
  stats.count('ok', 3);
  stats.count('ok', 30);
  stats.count('timeout', 60_000);
  expect(stats.outcomes).toMatchObject({ ok: 2, timeout: 1, error: 0, refused_open: 0 });
  expect(stats.sumMs).toBe(60_033);
  for (const durationMs of [3, 30, 60_000]) expect(stats.buckets[bucketOf(durationMs)]).toBe(1);
  expect(stats.buckets.reduce((sum, count) => sum + count, 0)).toBe(3);
});
