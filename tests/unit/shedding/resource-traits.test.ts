import { describe, expect, test } from 'bun:test';
import { AdaptiveLimit } from '../../../src/shedding/adaptive-limit.ts';
import { longestOf } from '../../../src/shedding/resource-traits.ts';

const CRITICAL = 2;
const TRAITS = { budgetMs: 80, inFlightMin: 96, burstMin: 500 };

/** Completions of 50 ms. All are late. */
const completing = (perSecond: number, durationMs: number) => {
  const count = perSecond / 20;
  return { finished: count, count, late: count, durationMsSum: count * durationMs, baselineMsSum: count * 5 };
};

/** A limit after two seconds in which this many were in flight all the time. */
function after(inFlight: number, perSecond: number, { traits = TRAITS as object, isLoopLate = false } = {}) {
  const limit = new AdaptiveLimit('ledger', traits);
  for (let i = 0; i < inFlight; i++) limit.enter();
  for (let i = 0; i < 40; i++) {
    limit.admits(CRITICAL);
    limit.update(50, completing(perSecond, (inFlight / perSecond) * 1000), {
      isLate: isLoopLate,
      delayMs: 0,
    });
  }
  return limit;
}

describe('a resource with a budget', () => {
  test('admits what it completes within the budget', () => {
    expect(after(2000, 8000).limit).toBeWithin(600, 680);
  });

  test('refuses nobody while requests stay within the budget, however far above the baseline they are', () => {
    const limit = after(512, 8000);
    expect(limit.isEngaged).toBe(false);
    expect(limit.admits(CRITICAL)).toBe(true);
  });

  test('admits less while the event loop is late', () => {
    expect(after(2000, 8000, { isLoopLate: true }).limit).toBeWithin(360, 410);
    expect(longestOf(80, true)).toBeLessThan(longestOf(80, false));
  });

  test('admits a few small batches at the least', () => {
    expect(after(500, 200).limit).toBe(TRAITS.inFlightMin);
  });

  test('admits full batches if even a small one takes too long, but not while the event loop is late', () => {
    const traits = { ...TRAITS, leastMs: () => 300 };
    expect(after(500, 200, { traits }).limit).toBe(TRAITS.burstMin);
    expect(after(500, 200, { traits, isLoopLate: true }).limit).toBe(TRAITS.inFlightMin);
    expect(after(500, 200, { traits: { ...traits, leastMs: () => 20 } }).limit).toBe(TRAITS.inFlightMin);
  });

  test('takes a burst of full batches before its capacity is known', () => {
    const limit = new AdaptiveLimit('ledger', TRAITS);
    for (let i = 0; i < 20; i++) limit.enter();
    for (let i = 0; i < 20; i++)
      limit.update(50, { finished: 50, count: 50, late: 0, durationMsSum: 250, baselineMsSum: 250 });
    expect(limit.limit).toBeGreaterThanOrEqual(TRAITS.burstMin);
  });
});
