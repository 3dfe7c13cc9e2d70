import { describe, expect, test } from 'bun:test';
import { type Observation, type ProbeStep, Slowness } from '../../../src/shedding/slowness.ts';

const UPDATE_MS = 50;
const BASELINE_MS = 20;
const observe = (inFlight: number, latencyMs: number): Observation => ({
  inFlight,
  latencyMs,
  baselineMs: BASELINE_MS,
});

/** Updates with the same observation, and returns the highest concurrency to restore. */
function learn(slowness: Slowness, updates: number, observed: Observation): number {
  let restored = 0;
  for (let i = 0; i < updates; i++) restored = Math.max(restored, slowness.learn(UPDATE_MS, observed));
  return restored;
}

/** Updates until a probe starts, and returns how long that took. */
function untilProbe(slowness: Slowness, observed: Observation): number {
  for (let elapsedMs = UPDATE_MS; elapsedMs < 60_000; elapsedMs += UPDATE_MS)
    if (slowness.probe(UPDATE_MS, observed, true).factor > 1) return elapsedMs;
  throw new Error('No probe started within a minute.');
}

/** Updates until the probe has ended, and returns its last step. */
function endProbe(slowness: Slowness, observed: Observation): ProbeStep {
  for (let i = 0; i < 100; i++) {
    const step = slowness.probe(UPDATE_MS, observed, true);
    if (!step.isProbing) return step;
  }
  throw new Error('The probe did not end.');
}

describe('fewer requests in flight', () => {
  test('that are no faster show that the resource is slower, and the concurrency is restored', () => {
    const slowness = new Slowness();
    expect(learn(slowness, 1, observe(100, 60))).toBe(0);
    expect(learn(slowness, 5, observe(50, 60))).toBe(100);
    expect(slowness.factor).toBeCloseTo(3, 1);
  });

  test('that are faster in proportion show a queue', () => {
    const slowness = new Slowness();
    learn(slowness, 1, observe(100, 60));
    expect(learn(slowness, 20, observe(50, 30))).toBe(0);
    expect(slowness.factor).toBe(1);
  });

  test('are not compared before the requests admitted earlier have completed', () => {
    const slowness = new Slowness();
    learn(slowness, 1, observe(100, 600));
    expect(learn(slowness, 15, observe(50, 600))).toBe(0);
    expect(slowness.factor).toBe(1);
  });
});

describe('a probe with more in flight', () => {
  test('starts after some time at the lowest limits, and only there', () => {
    const slowness = new Slowness();
    for (let i = 0; i < 100; i++) expect(slowness.probe(UPDATE_MS, observe(8, 60), false).factor).toBe(1);
    expect(untilProbe(slowness, observe(8, 60))).toBe(500);
  });

  test('that is no slower accepts the slowness and the higher concurrency', () => {
    const slowness = new Slowness();
    untilProbe(slowness, observe(8, 60));
    expect(endProbe(slowness, observe(16, 60))).toMatchObject({ factor: 1, acceptedInFlight: 16 });
    expect(slowness.factor).toBe(3);
  });

  test('that is slower accepts nothing, and the next one comes later', () => {
    const slowness = new Slowness();
    const firstMs = untilProbe(slowness, observe(8, 60));
    expect(endProbe(slowness, observe(16, 120))).toMatchObject({ factor: 1, acceptedInFlight: 0 });
    expect(slowness.factor).toBe(1);
    expect(untilProbe(slowness, observe(8, 60))).toBeGreaterThan(3 * firstMs);
  });
});

test('the factor is never above the observed ratio, and never below 1', () => {
  const slowness = new Slowness();
  slowness.factor = 3;
  slowness.boundBy(5);
  expect(slowness.factor).toBe(3);
  slowness.boundBy(2);
  expect(slowness.factor).toBe(2);
  slowness.boundBy(0.5);
  expect(slowness.factor).toBe(1);
});
