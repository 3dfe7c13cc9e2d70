import { describe, expect, test } from 'bun:test';
import { type BatchBottleneck, type Phase, serveVirtually, summary } from '../../support/virtual-server.ts';

// Like the ledger: 256 items take 26 ms, and 16 take 2.8 ms, so larger batches are served faster per item.
const CAPACITY = 256 / 0.0264;
const BATCHES: BatchBottleneck = { itemsMax: 256, batchMs: (_, items) => 1.2 + 0.0984 * items };
const TRAITS = { budgetMs: 80, inFlightMin: 96, burstMin: 500 };
const STEP_MS = 2000;
const END_MS = 6000;

const stepTo = (perSecond: number): Phase[] => [
  { untilMs: STEP_MS, perSecond: { critical: 0.5 * CAPACITY } },
  { untilMs: END_MS, perSecond: { critical: perSecond } },
];
const serve = (load: number, bottleneck = BATCHES, seed = 1) =>
  serveVirtually({ phases: stepTo(load * CAPACITY), bottleneck, traits: TRAITS, seed });

describe('a resource that works in batches, with a budget', () => {
  test('refuses nothing below its capacity', () => {
    expect(summary(serve(0.9), 0, END_MS).critical).toBe(1);
  });

  test.each([1.7, 3, 10])('serves its capacity within the budget at %d times of it', (load) => {
    for (const seed of [1, 2, 3]) {
      const { goodPerSecond, p99Ms } = summary(serve(load, BATCHES, seed), STEP_MS + 500, END_MS);
      expect(goodPerSecond).toBeGreaterThan(0.95 * CAPACITY);
      expect(p99Ms).toBeLessThan(1.5 * TRAITS.budgetMs);
    }
  });

  test('keeps its latency when it loses most of its capacity', () => {
    const slower = { ...BATCHES, batchMs: (_: number, items: number) => 8 + 0.8 * items };
    const { goodPerSecond, p99Ms } = summary(serve(1, slower), STEP_MS + 500, END_MS);
    // 96 in two batches of 48.
    expect(goodPerSecond).toBeGreaterThan(0.9 * (48 / 0.0464));
    expect(p99Ms).toBeLessThan(2 * TRAITS.budgetMs);
  });

  test('fills its batches when every batch is slow, because fewer requests would not be faster', () => {
    let lastMs = 0;
    const slow = {
      ...BATCHES,
      batchMs: (nowMs: number) => {
        lastMs = nowMs < STEP_MS ? 20 : 300;
        return lastMs;
      },
    };
    const phases = [
      { untilMs: STEP_MS, perSecond: { critical: 500 } },
      { untilMs: 20_000, perSecond: { critical: 2000 } },
    ];
    const served = serveVirtually({ phases, bottleneck: slow, traits: { ...TRAITS, leastMs: () => lastMs } });
    const steady = served.filter(({ atMs, tookMs }) => atMs > 10_000 && tookMs !== null);
    expect(steady.length / 10).toBeGreaterThan(0.7 * (256 / 0.3));
  });
});
