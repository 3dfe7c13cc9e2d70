import { describe, expect, test } from 'bun:test';
import { AdaptiveLimit } from '../../../src/shedding/adaptive-limit.ts';

const [NON_CRITICAL, DEFAULT, CRITICAL] = [0, 1, 2];
const UPDATE_MS = 50;

/** Completions of 50 ms at a thousand per second, each of this duration against a baseline of 20 ms. */
const completing = (durationMs: number, count = 50) => ({
  finished: count,
  count,
  late: durationMs > 30 ? count : 0,
  durationMsSum: count * durationMs,
  baselineMsSum: count * 20,
});
const NOTHING = { finished: 0, count: 0, late: 0, durationMsSum: 0, baselineMsSum: 0 };

/** A resource with this many in flight that has completed a thousand requests per second in 20 ms each. */
function busy(inFlight: number): AdaptiveLimit {
  const limit = new AdaptiveLimit('database');
  for (let i = 0; i < inFlight; i++) limit.enter();
  for (let i = 0; i < 20; i++) limit.update(UPDATE_MS, completing(20));
  return limit;
}

/** The same with a queue for half a second: 200 in flight, so 200 ms for each. */
function queued(): AdaptiveLimit {
  const limit = busy(20);
  for (let i = 0; i < 180; i++) limit.enter();
  for (let i = 0; i < 10; i++) limit.update(UPDATE_MS, completing(200));
  return limit;
}

describe('a limit on a resource', () => {
  test('admits everything before anything is measured', () => {
    const limit = new AdaptiveLimit('database');
    for (let i = 0; i < 10_000; i++) {
      expect(limit.admits(NON_CRITICAL)).toBe(true);
      limit.enter();
    }
    expect(limit.limit).toBe(Number.POSITIVE_INFINITY);
  });

  test('is a multiple of what is in use while there is no queue', () => {
    const limit = busy(20);
    expect(limit.isEngaged).toBe(false);
    expect(limit.limit).toBeGreaterThan(60);
  });

  test('engages on a standing queue, and then admits what the resource completes after a short wait', () => {
    const limit = queued();
    expect(limit.isEngaged).toBe(true);
    // A thousand per second × (20 ms + 16 ms of wait) for the critical.
    expect(limit.limit).toBeWithin(30, 50);
    expect([NON_CRITICAL, DEFAULT, CRITICAL].map((rank) => limit.admits(rank))).toEqual([
      false,
      false,
      false,
    ]);
  });

  test('leaves room for more important tiers above the others', () => {
    const limit = queued();
    while (limit.inFlight > 0) limit.leave();
    const filled = [NON_CRITICAL, DEFAULT, CRITICAL].map((rank) => {
      while (limit.admits(rank)) limit.enter();
      return limit.inFlight;
    });
    expect(filled).toEqual(filled.toSorted((a, b) => a - b));
    expect(new Set(filled).size).toBe(3);
  });

  test('does not engage for a burst that drains before the next update', () => {
    const limit = busy(20);
    for (let round = 0; round < 20; round++) {
      for (let i = 0; i < 180; i++) limit.enter();
      for (let i = 0; i < 180; i++) limit.leave();
      limit.update(UPDATE_MS, completing(60));
    }
    expect(limit.isEngaged).toBe(false);
  });

  test('does not engage for high concurrency without late responses', () => {
    const limit = busy(20);
    for (let i = 0; i < 180; i++) limit.enter();
    for (let i = 0; i < 20; i++) limit.update(UPDATE_MS, completing(20));
    expect(limit.isEngaged).toBe(false);
  });

  test('engages when nothing completes any more, and admits a few', () => {
    const limit = busy(60);
    for (let i = 0; i < 40; i++) {
      limit.update(UPDATE_MS, NOTHING);
      limit.admits(CRITICAL);
    }
    expect(limit.isEngaged).toBe(true);
    expect(limit.limit).toBeLessThanOrEqual(20);
    while (limit.inFlight > 0) limit.leave();
    for (const rank of [NON_CRITICAL, DEFAULT, CRITICAL]) expect(limit.admits(rank)).toBe(true);
  });

  test('opens again some time after the queue has drained', () => {
    const limit = queued();
    while (limit.inFlight > 5) limit.leave();
    for (let i = 0; i < 60; i++) limit.update(UPDATE_MS, completing(20, 10));
    expect(limit.isEngaged).toBe(false);
    expect(limit.limit).toBeGreaterThan(60);
  });

  test('grows while it refuses without a queue', () => {
    const limit = queued();
    while (limit.inFlight > 5) limit.leave();
    limit.update(UPDATE_MS, completing(20));
    for (let i = 0; i < 5; i++) limit.update(UPDATE_MS, completing(20));
    const before = limit.limit;
    while (limit.admits(NON_CRITICAL)) limit.enter();
    while (limit.inFlight > 5) limit.leave();
    limit.update(UPDATE_MS, completing(20));
    expect(limit.limit).toBeGreaterThan(before);
  });

  test('counts requests in flight and their peak', () => {
    const limit = new AdaptiveLimit('database');
    limit.enter();
    limit.enter();
    limit.leave();
    expect([limit.name, limit.inFlight, limit.peakInFlight]).toEqual(['database', 1, 2]);
    limit.update(UPDATE_MS, NOTHING);
    expect(limit.peakInFlight).toBe(1);
  });
});
