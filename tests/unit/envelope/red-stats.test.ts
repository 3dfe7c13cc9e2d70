import { describe, expect, test } from 'bun:test';
import { RedFigures } from '../../../src/envelope/red-stats.ts';
import { routeOf } from '../../support/exchange.ts';

const routes = [routeOf({ index: 0, pattern: '/a' }), routeOf({ index: 1, pattern: '/b' })];

function statusesOf(figures: RedFigures): [string, number, number][] {
  const found: [string, number, number][] = [];
  figures.forEachStatus(({ pattern }, status, count) => found.push([pattern, status, count]));
  return found;
}

describe('the figures', () => {
  test('start with nothing to tell', () => {
    const figures = new RedFigures(routes);
    expect(statusesOf(figures)).toEqual([]);
    expect(figures.durations(routes[0]!).buckets.every((count) => count === 0)).toBe(true);
  });

  test('keep routes and statuses apart, up to both ends', () => {
    const figures = new RedFigures(routes);
    figures.record(0, 200, 1);
    figures.record(0, 200, 1);
    figures.record(0, 599, 1);
    figures.record(1, 100, 1);
    expect(statusesOf(figures)).toEqual([
      ['/a', 200, 2],
      ['/a', 599, 1],
      ['/b', 100, 1],
    ]);
  });

  test('put a duration into the first bucket that holds it, bounds included', () => {
    const figures = new RedFigures(routes);
    for (const durationMs of [0, 5, 5.01, 10_000, 10_001]) figures.record(1, 200, durationMs);
    const { buckets, sumMs } = figures.durations(routes[1]!);
    expect([...buckets]).toEqual([2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
    expect(sumMs).toBeCloseTo(20_011.01, 6);
    expect(figures.durations(routes[0]!).sumMs).toBe(0);
  });
});
