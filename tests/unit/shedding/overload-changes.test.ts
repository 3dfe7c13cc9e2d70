import { describe, expect, test } from 'bun:test';
import { type Bottleneck, mixed, type Phase, serveVirtually, summary } from '../../support/virtual-server.ts';

const ELASTIC = 1e9;
const EVERYBODY = { critical: 1, default: 1, nonCritical: 1 };
const steady = (tier: 'default', perSecond: number, untilMs: number): Phase[] => [
  { untilMs, perSecond: { [tier]: perSecond } },
];

/** 1,000/s at a resource without queueing that is `factor` times slower from the fifth second on. */
function slower(usualMs: number, factor: number) {
  const serviceMs = (nowMs: number) => (nowMs > 5000 ? usualMs * factor : usualMs);
  return serveVirtually({
    phases: steady('default', 1000, 60_000),
    bottleneck: { slots: ELASTIC, serviceMs },
  });
}

describe('a resource without queueing that becomes slower', () => {
  test.each([
    [20, 3],
    [20, 8],
    [20, 15],
    [2, 15],
    [2, 60],
  ])('from %d ms by a factor of %d has refusals for seconds only', (usualMs, factor) => {
    const served = slower(usualMs, factor);
    expect(summary(served, 0, 5000).default).toBe(1);
    expect(summary(served, 15_000, 20_000, 1000).default).toBeGreaterThan(0.97);
    // The slowness is not forgotten and learned again at the callers' expense.
    expect(summary(served, 20_000, 60_000, 1000).default).toBeGreaterThan(0.97);
  });

  test.each([
    [10, 6000],
    [20, 9000],
  ])(
    'from %d ms after it hung is detected too, although almost nothing was admitted',
    (usualMs, hungUntilMs) => {
      const serviceMs = (nowMs: number) => {
        if (nowMs < 4000) return usualMs;
        return nowMs < hungUntilMs ? hungUntilMs + 100 - nowMs : 100;
      };
      for (const seed of [1, 2, 3, 4, 5]) {
        const served = serveVirtually({
          phases: [{ untilMs: 25_000, perSecond: mixed(500) }],
          bottleneck: { slots: ELASTIC, serviceMs },
          seed,
        });
        const found = summary(served, 16_000, 25_000, 1000);
        expect(Math.min(found.critical, found.default, found.nonCritical)).toBeGreaterThan(0.95);
      }
    },
  );

  test('and then fast again is used as before', () => {
    const serviceMs = (nowMs: number) => (nowMs > 5000 && nowMs < 65_000 ? 60 : 20);
    const served = serveVirtually({
      phases: steady('default', 1000, 80_000),
      bottleneck: { slots: ELASTIC, serviceMs },
    });
    expect(summary(served, 66_000, 80_000).default).toBeGreaterThan(0.99);
  });
});

test('a pool of two is not overrun by probes: more in flight makes its responses slower', () => {
  const phases = [
    { untilMs: 3000, perSecond: mixed(80) },
    { untilMs: 30_000, perSecond: mixed(500) },
  ];
  const served = serveVirtually({ phases, bottleneck: { slots: 2, serviceMs: () => 20 } });
  const { goodPerSecond, p50Ms } = summary(served, 8000, 30_000);
  expect(goodPerSecond).toBeGreaterThan(95);
  // Six in flight take three rounds of 20 ms, and eight take four. Anything slower was part of a probe.
  expect(p50Ms).toBeLessThan(70);
  const took = served.filter(({ atMs }) => atMs > 8000).flatMap(({ tookMs }) => tookMs ?? []);
  expect(took.filter((ms) => ms > 100).length).toBeLessThan(0.03 * took.length);
});

test('at half the capacity critical requests are served, and when it is back, all are', () => {
  const serviceMs = (nowMs: number) => (nowMs > 10_000 && nowMs < 25_000 ? 40 : 20);
  const phases = [{ untilMs: 40_000, perSecond: mixed(800) }];
  const served = serveVirtually({ phases, bottleneck: { slots: 20, serviceMs } });
  const halved = summary(served, 12_000, 25_000);
  expect(halved.goodPerSecond).toBeGreaterThan(0.95 * 500);
  expect(halved.critical).toBeGreaterThan(0.995);
  expect(halved.nonCritical).toBeLessThan(halved.default);
  const back = summary(served, 28_000, 40_000);
  expect(back.critical).toBe(1);
  expect(Math.min(back.default, back.nonCritical)).toBeGreaterThan(0.99);
});

describe.each([
  ['20 slots', 20],
  ['unlimited slots', ELASTIC],
])('a resource on %s that hangs for five seconds', (_, slots) => {
  const serviceMs = (nowMs: number) => (nowMs > 5000 && nowMs < 10_000 ? 10_020 - nowMs : 20);
  const inFlight: { nowMs: number; count: number }[] = [];
  const served = serveVirtually({
    phases: [{ untilMs: 20_000, perSecond: mixed(800) }],
    bottleneck: { slots, serviceMs },
    onUpdate: (nowMs, admission) => inFlight.push({ nowMs, count: admission.stats().inFlight }),
  });

  test('soon receives no more requests', () => {
    // 800 per second arrive; without a limit all of them would be in flight.
    const hanging = inFlight.filter(({ nowMs }) => nowMs > 5500 && nowMs < 9900);
    expect(Math.max(...hanging.map(({ count }) => count))).toBeLessThan(300);
    const later = served.filter(({ atMs, tookMs }) => atMs > 6000 && atMs < 9900 && tookMs !== null);
    expect(later.length).toBeLessThan(200);
  });

  test('is used as before soon after, by critical requests first', () => {
    expect(summary(served, 11_000, 20_000).critical).toBe(1);
    const back = summary(served, 13_000, 20_000);
    expect(Math.min(back.default, back.nonCritical)).toBeGreaterThan(0.99);
  });
});

describe('unsuccessful responses', () => {
  /** From the fifth to the tenth second, nine of ten responses take 1 ms and have this status. */
  const flooded = (status: number, floodPerSecond: number) => {
    const serviceMs: Bottleneck['serviceMs'] = (nowMs, _inFlight, _tier, random) =>
      nowMs > 5000 && nowMs < 10_000 && random() < 0.9 ? 1 : 20;
    return serveVirtually({
      phases: [
        ...steady('default', 800, 5000),
        ...steady('default', floodPerSecond, 10_000),
        ...steady('default', 800, 20_000),
      ],
      bottleneck: { slots: ELASTIC, serviceMs, statusOf: (ms) => (ms < 5 ? status : 200) },
    });
  };

  test.each([
    ['500', 500, 800],
    ['404', 404, 3000],
    ['422', 422, 3000],
    ['thrown errors', 0, 800],
  ])('that are fast do not make successes look late: %s', (_, status, perSecond) => {
    const served = flooded(status, perSecond);
    expect(summary(served, 0, 20_000)).toMatchObject(EVERYBODY);
  });

  test('to callers that have disconnected do not affect the baseline of other refusals', () => {
    const serviceMs: Bottleneck['serviceMs'] = (nowMs, _inFlight, _tier, random) =>
      nowMs < 5000 && random() < 0.9 ? 1 : 20;
    const served = serveVirtually({
      phases: [...steady('default', 3000, 5000), ...steady('default', 800, 15_000)],
      bottleneck: { slots: ELASTIC, serviceMs, statusOf: (ms) => (ms < 5 ? 499 : 404) },
    });
    expect(summary(served, 0, 15_000)).toMatchObject(EVERYBODY);
  });

  test('that took a slot count as completed work: a flood of rejected keys takes no capacity from others', () => {
    // Four of five requests get a 401, after as long in the database as any other.
    const statusOf = (ms: number) => (ms < 21.2 ? 401 : 200);
    const phases = [
      { untilMs: 5000, perSecond: mixed(800) },
      { untilMs: 15_000, perSecond: mixed(5000) },
    ];
    const served = serveVirtually({ phases, bottleneck: { slots: 20, serviceMs: () => 20, statusOf } });
    expect(summary(served, 0, 5000)).toMatchObject(EVERYBODY);
    const flood = summary(served, 6000, 15_000);
    expect(flood.goodPerSecond).toBeGreaterThan(950);
    expect(flood.critical).toBeGreaterThan(0.995);
  });
});

describe('a burst', () => {
  test('at an idle resource is admitted in full', () => {
    const phases = [
      ...steady('default', 10, 2000),
      ...steady('default', 200_000, 2001),
      ...steady('default', 10, 4000),
    ];
    const served = serveVirtually({ phases, bottleneck: { slots: ELASTIC, serviceMs: () => 20 } });
    expect(served.length).toBeGreaterThan(150);
    expect(summary(served, 0, 4000).default).toBe(1);
  });

  test('that the resource absorbs immediately causes no refusals', () => {
    // Every second 60 requests in 10 ms, on 20 slots: the last ones wait for 40 ms, and then the queue is empty.
    const phases = Array.from({ length: 10 }, (_, i) => [
      { untilMs: 1000 * i + 990, perSecond: { default: 100 } },
      { untilMs: 1000 * i + 1000, perSecond: { default: 6000 } },
    ]).flat();
    const served = serveVirtually({ phases, bottleneck: { slots: 20, serviceMs: () => 20 } });
    expect(summary(served, 0, 10_000).default).toBeGreaterThan(0.98);
  });
});
