import { describe, expect, test } from 'bun:test';
import { type Bottleneck, mixed, type Phase, serveVirtually, summary } from '../../support/virtual-server.ts';

// 20 slots of 20 ms: a thousand requests per second and no more.
const CAPACITY = 1000;
const SLOTS: Bottleneck = { slots: 20, serviceMs: () => 20 };
const STEP_MS = 3000;
const END_MS = 13_000;
const SEEDS = [1, 2, 3];

/** Three seconds at 0.8 of the capacity, then ten at `load` times it. */
const stepTo = (load: number): Phase[] => [
  { untilMs: STEP_MS, perSecond: mixed(0.8 * CAPACITY) },
  { untilMs: END_MS, perSecond: mixed(load * CAPACITY) },
];
const serve = (load: number, seed = 1, bottleneck = SLOTS) =>
  serveVirtually({ phases: stepTo(load), bottleneck, seed });

describe('a route on 20 slots of 20 ms', () => {
  test.each(SEEDS)('refuses almost nothing at 0.8 of its capacity (seed %d)', (seed) => {
    const { critical, default: usual, nonCritical } = summary(serve(0.8, seed), 0, END_MS);
    expect(critical).toBe(1);
    expect(Math.min(usual, nonCritical)).toBeGreaterThan(0.99);
  });

  test.each([2, 5, 10])('keeps its full goodput at %d times its capacity', (load) => {
    for (const seed of SEEDS) {
      const { goodPerSecond } = summary(serve(load, seed), STEP_MS, END_MS);
      expect(goodPerSecond).toBeGreaterThan(0.95 * CAPACITY);
    }
  });

  test('at most doubles the latency of admitted requests at up to ten times its capacity', () => {
    const calm = summary(serve(0.8), STEP_MS, END_MS);
    for (const load of [2, 5, 10]) {
      expect(summary(serve(load), STEP_MS + 500, END_MS).p99Ms).toBeLessThan(2 * calm.p99Ms);
    }
  });

  test('serves critical requests at five times its capacity, and default before non-critical ones', () => {
    for (const seed of SEEDS) {
      const steady = summary(serve(5, seed), STEP_MS + 500, END_MS);
      expect(steady.critical).toBeGreaterThan(0.995);
      expect(steady.default).toBeGreaterThan(0.1);
      expect(steady.nonCritical).toBeLessThan(0.02);
    }
  });

  test.each([2, 5])('settles within 500 ms of a step from 0.8 to %d times its capacity', (load) => {
    const calm = summary(serve(0.8), STEP_MS, END_MS);
    for (const seed of SEEDS) {
      const served = serve(load, seed);
      for (let atMs = STEP_MS + 500; atMs < END_MS; atMs += 500) {
        const span = summary(served, atMs, atMs + 500);
        expect(span.goodPerSecond).toBeGreaterThan(0.9 * CAPACITY);
        expect(span.p99Ms).toBeLessThan(2 * calm.p99Ms);
      }
    }
  });

  test('works even if it was never measured without a queue', () => {
    const phases = [{ untilMs: 10_000, perSecond: mixed(5 * CAPACITY) }];
    const served = serveVirtually({ phases, bottleneck: SLOTS });
    const steady = summary(served, 1000, 10_000);
    expect(steady.goodPerSecond).toBeGreaterThan(0.95 * CAPACITY);
    expect(steady.critical).toBeGreaterThan(0.995);
    expect(steady.p99Ms).toBeLessThan(65);
  });

  test.each(['critical', 'default', 'non-critical'] as const)(
    'is fully used when all requests are %s',
    (tier) => {
      const phases = [
        { untilMs: STEP_MS, perSecond: { [tier]: 0.5 * CAPACITY } },
        { untilMs: END_MS, perSecond: { [tier]: 3 * CAPACITY } },
      ];
      const { goodPerSecond } = summary(serveVirtually({ phases, bottleneck: SLOTS }), STEP_MS, END_MS);
      expect(goodPerSecond).toBeGreaterThan(0.95 * CAPACITY);
    },
  );

  test('drifts neither in latency nor in goodput under ten minutes of slight overload', () => {
    const phases = [{ untilMs: 600_000, perSecond: mixed(1.05 * CAPACITY) }];
    const served = serveVirtually({ phases, bottleneck: SLOTS });
    const first = summary(served, 10_000, 70_000);
    const last = summary(served, 540_000, 600_000);
    expect(first.goodPerSecond).toBeGreaterThan(0.95 * CAPACITY);
    expect(last.goodPerSecond).toBeGreaterThan(0.99 * first.goodPerSecond);
    expect(last.p99Ms).toBeLessThan(1.1 * first.p99Ms);
    expect(last.critical).toBeGreaterThan(0.995);
  });

  test('does not learn a long incident as the baseline', () => {
    const incident = { untilMs: 240_000, perSecond: mixed(5 * CAPACITY) };
    const served = serveVirtually({ phases: [...stepTo(0.8), incident], bottleneck: SLOTS });
    const [early, late] = [summary(served, 14_000, 24_000), summary(served, 230_000, 240_000)];
    expect(late.p50Ms).toBeLessThan(1.1 * early.p50Ms);
    expect(late.goodPerSecond).toBeGreaterThan(0.95 * CAPACITY);
    expect(late.critical).toBeGreaterThan(0.995);
  });
});

describe('responses with exponentially distributed times', () => {
  const exponential: Bottleneck['serviceMs'] = (_now, _inFlight, _tier, random) =>
    -20 * Math.log(1 - random());

  test('do not look like a queue', () => {
    const phases = [
      { untilMs: 20_000, perSecond: { default: 20 } },
      { untilMs: 40_000, perSecond: { default: CAPACITY } },
    ];
    const bottleneck = { slots: 1e9, serviceMs: exponential };
    const served = serveVirtually({ phases, bottleneck });
    expect(summary(served, 0, 40_000).default).toBeGreaterThan(0.99);
  });

  test('are soon admitted even if the first ones were short', () => {
    const phases = [{ untilMs: 20_000, perSecond: { default: CAPACITY } }];
    const served = serveVirtually({ phases, bottleneck: { slots: 1e9, serviceMs: exponential } });
    expect(summary(served, 5000, 20_000).default).toBeGreaterThan(0.97);
  });

  test('on 20 slots are refused only as far as necessary', () => {
    const bottleneck = { slots: 20, serviceMs: exponential };
    expect(summary(serve(0.8, 1, bottleneck), STEP_MS, END_MS).goodPerSecond).toBeGreaterThan(
      0.75 * CAPACITY,
    );
    const twice = summary(serve(2, 1, bottleneck), STEP_MS, END_MS);
    expect(twice.goodPerSecond).toBeGreaterThan(0.9 * CAPACITY);
    expect(twice.critical).toBeGreaterThan(0.99);
  });
});

test('routes of 5, 20 and 100 ms on one resource have their own baselines', () => {
  const serviceMs: Bottleneck['serviceMs'] = (_now, _inFlight, tier) =>
    ({ critical: 5, default: 20, 'non-critical': 100 })[tier];
  // 20 slots work 20,000 ms per second: 0.4 of it, then twice of it.
  const phases = [
    { untilMs: 3000, perSecond: { critical: 160, default: 120, 'non-critical': 48 } },
    { untilMs: 13_000, perSecond: { critical: 800, default: 600, 'non-critical': 240 } },
  ];
  const served = serveVirtually({ phases, bottleneck: { slots: 20, serviceMs } });
  expect(summary(served, 0, 3000)).toMatchObject({ critical: 1, default: 1, nonCritical: 1 });
  const steady = summary(served, 4000, 13_000);
  expect(steady.critical).toBeGreaterThan(0.98);
  expect(steady.default).toBeGreaterThan(0.6);
  const worked = served.filter(({ atMs, tookMs }) => tookMs !== null && atMs >= 4000 && atMs < 13_000);
  const workedMs = worked.reduce((sum, { tier }) => sum + serviceMs(0, 0, tier, Math.random), 0);
  expect(workedMs).toBeGreaterThan(0.9 * 20 * 9000);
});
