import { expect, test } from 'bun:test';
import { StaticShare } from '../../../src/shedding/static-share.ts';

test('a static share is what the supervisor set last, at any time', () => {
  const share = new StaticShare(100, 4, 25);
  expect(share.limitAt(0)).toBe(25);
  share.setShare(33);
  share.runShort();
  expect([share.limitAt(0), share.limitAt(1e9)]).toEqual([33, 33]);
});

test('a static share is never more than the cap of the cluster', () => {
  const share = new StaticShare(100, 4, 25);
  share.setShare(Number.POSITIVE_INFINITY);
  expect(share.limitAt(0)).toBe(100);
});

test('a static share has no cutoff of the cluster', () => {
  expect(new StaticShare(100, 1, 100).cutoffAt(0)).toBeNull();
});

test('its stats describe a worker without Redis', () => {
  const share = new StaticShare(100, 4, 25);
  share.observe(() => ({ inFlight: 7, wanted: 12, cutoff: 0, arrivals: 50 }));
  expect(share.stats()).toEqual({
    mode: 'static',
    cap: 100,
    limit: 25,
    workers: 4,
    recentWorkers: 4,
    clusterHeld: 25,
    clusterInFlight: 7,
    renewals: 0,
    renewalFailures: 0,
    renewalMsSum: 0,
    commands: 0,
  });
});
