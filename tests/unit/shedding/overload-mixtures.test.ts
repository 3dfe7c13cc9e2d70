import { expect, test } from 'bun:test';
import { type Bottleneck, type Phase, serveVirtually, summary } from '../../support/virtual-server.ts';

const END_MS = 60_000;
// Unlimited concurrency: there is never a queue, so every refusal is wrong.
const ELASTIC = Number.MAX_SAFE_INTEGER;

type Service = Bottleneck['serviceMs'];
const ofTier =
  (times: Readonly<Record<string, number>>): Service =>
  (_now, _inFlight, tier) =>
    times[tier]!;
const often2Rarely5000: Service = (_now, _inFlight, _tier, random) => (random() < 0.05 ? 5000 : 2);
const exponential50: Service = (_now, _inFlight, _tier, random) => -50 * Math.log(1 - random());

const MIXTURES: readonly [string, Phase['perSecond'], Service][] = [
  [
    'few of 2 ms and some of 5 s',
    { default: 20, 'non-critical': 3 },
    ofTier({ default: 2, 'non-critical': 5000 }),
  ],
  [
    'many of 2 ms and some of 5 s',
    { default: 100, 'non-critical': 3 },
    ofTier({ default: 2, 'non-critical': 5000 }),
  ],
  [
    'payments and 20 slow reports',
    { critical: 50, 'non-critical': 2 },
    ofTier({ critical: 5, 'non-critical': 10_000 }),
  ],
  ['one route that is rarely slow', { default: 60 }, often2Rarely5000],
  ['one route whose times vary', { default: 500 }, exponential50],
];

test.each(MIXTURES)('without a queue nothing is refused: %s', (_name, perSecond, serviceMs) => {
  for (const seed of [1, 2, 3]) {
    const served = serveVirtually({
      phases: [{ untilMs: END_MS, perSecond }],
      bottleneck: { slots: ELASTIC, serviceMs },
      seed,
    });
    const { critical, default: usual, nonCritical } = summary(served, 0, END_MS, Number.POSITIVE_INFINITY);
    expect(Math.min(critical, usual, nonCritical)).toBeGreaterThan(0.98);
  }
});

test('an overload an hour ago causes no refusals at low load', () => {
  const served = serveVirtually({
    phases: [
      { untilMs: 10_000, perSecond: { default: 5000 } },
      { untilMs: 3_600_000, perSecond: {} },
      { untilMs: 3_660_000, perSecond: { 'non-critical': 1 } },
    ],
    bottleneck: { slots: 20, serviceMs: () => 20 },
  });
  expect(summary(served, 3_600_000, 3_660_000)).toMatchObject({ nonCritical: 1 });
});
