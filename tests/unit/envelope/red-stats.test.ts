import { describe, expect, test } from 'bun:test';
import { RedStats } from '../../../src/envelope/red-stats.ts';
import { routeOf } from '../../support/exchange.ts';

const routes = [routeOf({ index: 0, pattern: '/a' }), routeOf({ index: 1, pattern: '/b' })];

function statusesOf(stats: RedStats): [string, number, number][] {
  const found: [string, number, number][] = [];
  stats.forEachStatus(({ pattern }, status, count) => found.push([pattern, status, count]));
  return found;
}

describe('the stats', () => {
  test('start empty', () => {
    const stats = new RedStats(routes);
    expect(statusesOf(stats)).toEqual([]);
    expect(stats.durations(routes[0]!).buckets.every((count) => count === 0)).toBe(true);
  });

  test('keep routes and statuses separate, up to both bounds', () => {
    const stats = new RedStats(routes);
    stats.record(0, 200, 1);
    stats.record(0, 200, 1);
    stats.record(0, 599, 1);
    stats.record(1, 100, 1);
    expect(statusesOf(stats)).toEqual([
      ['/a', 200, 2],
      ['/a', 599, 1],
      ['/b', 100, 1],
    ]);
  });

  test('count a duration in the first bucket that includes it', () => {
    const stats = new RedStats(routes);
    for (const durationMs of [0, 5, 5.01, 10_000, 10_001]) stats.record(1, 200, durationMs);
    const { buckets, sumMs } = stats.durations(routes[1]!);
    expect([...buckets]).toEqual([2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
    expect(sumMs).toBeCloseTo(20_011.01, 6);
    expect(stats.durations(routes[0]!).sumMs).toBe(0);
  });
});
