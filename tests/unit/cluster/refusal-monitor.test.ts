import { expect, test } from 'bun:test';
import { RefusalMonitor } from '../../../src/cluster/refusal-monitor.ts';

/** Counters as admission has them: of two tiers, so that the same reason comes twice. */
const counts = (permits: number, priority = 0, admitted = 0) => [
  { decision: 'admitted', count: admitted },
  { decision: 'permits', count: permits },
  { decision: 'priority', count: priority },
  { decision: 'permits', count: permits },
];

test('the first refusals are told at once, by reason, and what is admitted is not', () => {
  const watch = new RefusalMonitor();
  expect(watch.look(counts(0, 0, 7), 0)).toBeNull();
  expect(watch.look(counts(2, 0, 9), 250)).toEqual({ permits: 4 });
});

test('what follows is told once in ten seconds, and only what is new', () => {
  const watch = new RefusalMonitor();
  expect(watch.look(counts(1), 1000)).toEqual({ permits: 2 });
  for (let nowMs = 1250; nowMs < 11_000; nowMs += 250) expect(watch.look(counts(1, nowMs), nowMs)).toBeNull();
  expect(watch.look(counts(1, 50), 11_000)).toEqual({ priority: 50 });
  expect(watch.look(counts(1, 50), 30_000)).toBeNull();
  expect(watch.look(counts(2, 50), 30_250)).toEqual({ permits: 2 });
});

test('the rate is that of about the last second, whenever it is looked, and falls to 0 when nothing is refused', () => {
  const watch = new RefusalMonitor();
  expect(watch.perSecond).toBe(0);
  for (let nowMs = 0; nowMs <= 5000; nowMs += 250) watch.look(counts(nowMs / 20), nowMs);
  expect(watch.perSecond).toBe(100);
  // Looks that come at the same time as others, as they do while shares change, do not distort it.
  for (let i = 0; i < 20; i++) watch.look(counts(250), 5000 + i);
  expect(watch.perSecond).toBe(100);
  for (let nowMs = 5250; nowMs <= 6250; nowMs += 250) watch.look(counts(250), nowMs);
  expect(watch.perSecond).toBe(0);
});
