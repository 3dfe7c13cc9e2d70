import { expect, test } from 'bun:test';
import { RefusalMonitor } from '../../../src/cluster/refusal-monitor.ts';

/** Counters of two tiers, as in admission, so that the same reason occurs twice. */
const counts = (permits: number, priority = 0, admitted = 0) => [
  { decision: 'admitted', count: admitted },
  { decision: 'permits', count: permits },
  { decision: 'priority', count: priority },
  { decision: 'permits', count: permits },
];

test('the first refusals are reported immediately, by reason, without admitted requests', () => {
  const monitor = new RefusalMonitor();
  expect(monitor.sample(counts(0, 0, 7), 0)).toBeNull();
  expect(monitor.sample(counts(2, 0, 9), 250)).toEqual({ permits: 4 });
});

test('later refusals are reported every ten seconds at most, as increases', () => {
  const monitor = new RefusalMonitor();
  expect(monitor.sample(counts(1), 1000)).toEqual({ permits: 2 });
  for (let nowMs = 1250; nowMs < 11_000; nowMs += 250)
    expect(monitor.sample(counts(1, nowMs), nowMs)).toBeNull();
  expect(monitor.sample(counts(1, 50), 11_000)).toEqual({ priority: 50 });
  expect(monitor.sample(counts(1, 50), 30_000)).toBeNull();
  expect(monitor.sample(counts(2, 50), 30_250)).toEqual({ permits: 2 });
});

test('the rate covers about the last second, however often it is sampled, and falls to 0 after the last refusal', () => {
  const monitor = new RefusalMonitor();
  expect(monitor.perSecond).toBe(0);
  for (let nowMs = 0; nowMs <= 5000; nowMs += 250) monitor.sample(counts(nowMs / 20), nowMs);
  expect(monitor.perSecond).toBe(100);
  // Extra samples at the same time, as taken when shares change, do not distort it.
  for (let i = 0; i < 20; i++) monitor.sample(counts(250), 5000 + i);
  expect(monitor.perSecond).toBe(100);
  for (let nowMs = 5250; nowMs <= 6250; nowMs += 250) monitor.sample(counts(250), nowMs);
  expect(monitor.perSecond).toBe(0);
});
