import { expect, test } from 'bun:test';
import { DrainProbe } from '../../../src/shedding/drain-probe.ts';

const UPDATE_MS = 50;
const [DEFAULT, CRITICAL] = [1, 2];

/** Updates for a time with the given baselines; returns the times at which the queue was drained. */
function drained(probe: DrainProbe, forMs: number, baselineMs: (atMs: number) => number): number[] {
  const times: number[] = [];
  for (let atMs = UPDATE_MS; atMs <= forMs; atMs += UPDATE_MS)
    if (probe.isDraining(UPDATE_MS, 40, baselineMs(atMs))) times.push(atMs);
  return times;
}

test('a queue is drained soon after it was found, and then every ten seconds', () => {
  const times = drained(new DrainProbe(), 21_500, () => 20);
  const starts = times.filter((atMs) => !times.includes(atMs - UPDATE_MS));
  expect(starts[0]).toBe(400);
  expect(starts.length).toBe(3);
  expect(starts[1]! - starts[0]!).toBeWithin(10_000, 10_500);
  // A drain lasts as long as the queue and a few baselines.
  expect(times.filter((atMs) => atMs < 5000).length).toBe(2);
});

test('a baseline that fell is measured again soon', () => {
  const times = drained(new DrainProbe(), 5000, (atMs) => (atMs < 450 ? 60 : 20));
  expect(times.some((atMs) => atMs > 600 && atMs < 1500)).toBe(true);
});

test('the most important tier makes room only the first time', () => {
  const probe = new DrainProbe();
  expect(probe.shareOf(CRITICAL)).toBeLessThan(1);
  drained(probe, 1000, () => 20);
  expect(probe.shareOf(CRITICAL)).toBe(1);
  expect(probe.shareOf(DEFAULT)).toBeLessThan(1);
});
