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

describe('requests in flight', () => {
  test('that are hardly fewer prove nothing, however long they are', () => {
    const slowness = new Slowness();
    learn(slowness, 1, observe(100, 60));
    expect(learn(slowness, 200, observe(76, 60))).toBe(0);
    expect(slowness.factor).toBe(1);
  });

  test('are compared with the most there were, and once only', () => {
    const slowness = new Slowness();
    learn(slowness, 1, observe(100, 60));
    learn(slowness, 1, observe(140, 60));
    expect(learn(slowness, 10, observe(80, 60))).toBe(140);
    const queued = new Slowness();
    learn(queued, 1, observe(100, 60));
    learn(queued, 10, observe(50, 30));
    expect(learn(queued, 10, observe(50, 60))).toBe(0);
  });

  test('are compared with nothing from before a reset', () => {
    const slowness = new Slowness();
    learn(slowness, 1, observe(100, 60));
    slowness.reset();
    expect(learn(slowness, 10, observe(50, 60))).toBe(0);
  });

  test('that are as fast as usual are no reason to accept anything', () => {
    const slowness = new Slowness();
    learn(slowness, 1, observe(100, BASELINE_MS));
    expect(learn(slowness, 10, observe(50, BASELINE_MS))).toBe(0);
    expect(slowness.factor).toBe(1);
  });

  test.each([
    [BASELINE_MS, 50],
    [500, 10],
  ])('are accepted with at most a second, or ten times the usual: %d ms', (baselineMs, factor) => {
    const slowness = new Slowness();
    const of = (inFlight: number) => ({ inFlight, latencyMs: 20_000, baselineMs });
    learn(slowness, 1, of(100));
    for (let i = 0; i < 1000 && slowness.learn(UPDATE_MS, of(50)) === 0; i++);
    expect(slowness.factor).toBe(factor);
  });

  test('that fell are compared after one and a half latencies and two updates, and then with those', () => {
    const slowness = new Slowness();
    learn(slowness, 1, observe(100, 60));
    // 60 ms × 1.5 + 2 × 50 ms.
    expect(Array.from({ length: 4 }, () => slowness.learn(UPDATE_MS, observe(50, 60)))).toEqual([
      0, 0, 0, 100,
    ]);
    expect(learn(slowness, 20, observe(49, 60))).toBe(0);
  });
});

describe('a probe with more in flight', () => {
  test('lasts twice as long as the latency and what it takes to settle, and leaves the limits alone', () => {
    const slowness = new Slowness();
    untilProbe(slowness, observe(8, 60));
    const steps = Array.from({ length: 7 }, () => slowness.probe(UPDATE_MS, observe(16, 60), true));
    const probing = { factor: 1, acceptedInFlight: 0, isProbing: true };
    expect(steps).toEqual([
      ...Array(6).fill(probing),
      { ...probing, acceptedInFlight: 16, isProbing: false },
    ]);
  });

  test('ends when it is stopped, or measurements start again, which then are as for the first time', () => {
    const stopped = new Slowness();
    untilProbe(stopped, observe(8, 60));
    stopped.stopProbe();
    expect(stopped.probe(UPDATE_MS, observe(16, 60), false)).toMatchObject({ isProbing: false });
    const former = new Slowness();
    untilProbe(former, observe(8, 60));
    endProbe(former, observe(16, 120));
    untilProbe(former, observe(8, 60));
    former.reset();
    for (let i = 0; i < 5; i++) former.probe(UPDATE_MS, observe(8, 60), true);
    former.reset();
    expect(untilProbe(former, observe(8, 60))).toBe(500);
  });

  test('is not for responses that are as fast as usual', () => {
    const slowness = new Slowness();
    expect(() => untilProbe(slowness, observe(8, 1.1 * BASELINE_MS))).toThrow('No probe started');
  });

  test('backs off to every 192 latencies, and no further', () => {
    const slowness = new Slowness();
    const waits = Array.from({ length: 5 }, () => {
      const ms = untilProbe(slowness, observe(8, 60));
      endProbe(slowness, observe(16, 120));
      return ms / 160;
    });
    expect(waits.map(Math.round)).toEqual([3, 12, 48, 192, 192]);
  });
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

test('an accepted slowness fades, by a thousandth per update', () => {
  const slowness = new Slowness();
  slowness.factor = 3;
  learn(slowness, 1, observe(8, 60));
  expect(slowness.factor).toBeCloseTo(2.998, 6);
  learn(slowness, 10_000, observe(8, 60));
  expect(slowness.factor).toBeCloseTo(1, 2);
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
