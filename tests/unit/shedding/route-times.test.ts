import { describe, expect, test } from 'bun:test';
import { RouteTimes } from '../../../src/shedding/route-times.ts';
import { randomOf } from '../../support/virtual-server.ts';

const ALONE = 1;
const CROWDED = 50;

/** The baseline after `count` more responses of this duration, with this many in flight. */
function baselineAfter(times: RouteTimes, count: number, durationMs: number, peakInFlight: number): number {
  for (let i = 0; i < count; i++) times.add(0, durationMs);
  const { baselineMsSum } = times.take([0], peakInFlight);
  return baselineMsSum / count;
}

describe('the baseline of a route', () => {
  test('starts as the mean of the first responses', () => {
    expect(baselineAfter(new RouteTimes(1), 3, 20, CROWDED)).toBe(20);
  });

  test('does not rise while many are in flight, however slow responses are and for however long', () => {
    const times = new RouteTimes(1);
    baselineAfter(times, 50, 20, ALONE);
    baselineAfter(times, 50, 20, ALONE);
    for (let i = 0; i < 10_000; i++) baselineAfter(times, 50, 200, CROWDED);
    expect(baselineAfter(times, 50, 200, CROWDED)).toBe(20);
  });

  test('falls immediately when responses become faster, even with many in flight', () => {
    const times = new RouteTimes(1);
    baselineAfter(times, 50, 100, ALONE);
    for (let i = 0; i < 10; i++) baselineAfter(times, 50, 10, CROWDED);
    expect(baselineAfter(times, 50, 10, CROWDED)).toBeLessThan(15);
  });

  test('rises on samples with hardly anything in flight', () => {
    const times = new RouteTimes(1);
    baselineAfter(times, 50, 20, ALONE);
    const once = baselineAfter(times, 50, 40, ALONE);
    expect(once).toBeGreaterThan(20);
    expect(once).toBeLessThan(30);
    for (let i = 0; i < 30; i++) baselineAfter(times, 50, 40, ALONE);
    expect(baselineAfter(times, 50, 40, ALONE)).toBeCloseTo(40, 0);
  });

  test('does not rise if many were in flight in between', () => {
    const times = new RouteTimes(1);
    baselineAfter(times, 50, 20, ALONE);
    baselineAfter(times, 10, 200, CROWDED);
    expect(baselineAfter(times, 15, 200, ALONE)).toBe(20);
  });

  test.each([ALONE, CROWDED])(
    'is not pulled down to the shortest of varying times (%d in flight)',
    (most) => {
      const random = randomOf(7);
      const times = new RouteTimes(1);
      let baselineMs = 0;
      for (let round = 0; round < 2000; round++) {
        for (let i = 0; i < 25; i++) times.add(0, -20 * Math.log(1 - random()));
        baselineMs = times.take([0], most).baselineMsSum / 25;
      }
      expect(baselineMs).toBeGreaterThan(13);
      expect(baselineMs).toBeLessThan(27);
    },
  );
});

describe('completions', () => {
  test('are summed over the given routes, each against its own baseline, and then cleared', () => {
    const times = new RouteTimes(3);
    times.add(0, 10);
    times.add(1, 100);
    times.add(1, 100);
    times.add(2, 7);
    expect(times.take([0, 1], CROWDED)).toEqual({
      finished: 3,
      count: 3,
      late: 0,
      durationMsSum: 210,
      baselineMsSum: 210,
    });
    expect(times.take([0, 1], CROWDED)).toEqual({
      finished: 0,
      count: 0,
      late: 0,
      durationMsSum: 0,
      baselineMsSum: 0,
    });
    expect(times.take([2], CROWDED).count).toBe(1);
  });

  test('include failures, from which nothing is learned', () => {
    const times = new RouteTimes(1);
    times.addFailure(0);
    expect(times.take([0], ALONE)).toEqual({
      finished: 1,
      count: 0,
      late: 0,
      durationMsSum: 0,
      baselineMsSum: 0,
    });
    expect(times.medianMs(0)).toBe(0);
  });
});

describe('the median of a route', () => {
  test('is 0 before the first response', () => {
    expect(new RouteTimes(1).medianMs(0)).toBe(0);
  });

  test('is found for any distribution, and is not the mean', () => {
    const random = randomOf(3);
    const times = new RouteTimes(1);
    for (let i = 0; i < 5000; i++) times.add(0, random() < 0.7 ? 5 + random() : 500);
    expect(times.medianMs(0)).toBeGreaterThan(4);
    expect(times.medianMs(0)).toBeLessThan(9);
  });

  test('falls by doubt when nothing else can lower it', () => {
    const times = new RouteTimes(1);
    times.add(0, 100);
    let doubts = 0;
    for (; times.medianMs(0) > 50; doubts++) times.doubtMedian(0);
    expect(doubts).toBeWithin(50, 500);
  });
});
