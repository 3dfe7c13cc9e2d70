import { describe, expect, test } from 'bun:test';
import { VALID_MS } from '../../../../../src/features/identity/quotas/protocol.ts';
import { NO_SLOTS, SlotLease } from '../../../../../src/features/identity/quotas/slot-lease.ts';

const MAX = 8;
const WORKERS = 4;
const START_MS = 1000;

function leaseOf(max: number | null = MAX, workers = WORKERS): SlotLease {
  const lease = new SlotLease();
  lease.setQuota(max, workers);
  return lease;
}

/** Takes this many requests, and returns how many were counted. */
function take(lease: SlotLease, count: number, nowMs = START_MS): number {
  return Array.from({ length: count }, () => lease.take(nowMs)).filter(Boolean).length;
}

const grant = (lease: SlotLease, slots: number, sentMs = START_MS) =>
  lease.accept({ granted: 0, waitMs: 0, lease: slots }, sentMs);

describe('concurrent requests of a quota on a worker', () => {
  test('are its share without a lease, and at least one', () => {
    expect(take(leaseOf(), 5)).toBe(2);
    expect(take(leaseOf(3, 4), 5)).toBe(1);
    expect(take(leaseOf(8, 0), 10)).toBe(8);
  });

  test('are what was leased until the lease expires, and then the share', () => {
    const lease = leaseOf();
    lease.report(START_MS, false);
    grant(lease, 6);
    expect(take(lease, 10, START_MS + VALID_MS - 1)).toBe(6);
    for (let i = 0; i < 5; i++) lease.release();
    expect(take(lease, 10, START_MS + VALID_MS)).toBe(1);
    expect(lease.inFlight).toBe(2);
  });

  test('are what was leased since the report was sent, and not since the reply', () => {
    const lease = leaseOf();
    grant(lease, 0, START_MS);
    expect(take(lease, 1, START_MS + VALID_MS - 1)).toBe(0);
    expect(take(lease, 1, START_MS + VALID_MS)).toBe(1);
  });

  test('are counted without a limit, and reported as none', () => {
    const lease = leaseOf(null);
    expect(take(lease, 100)).toBe(100);
    expect(lease.report(START_MS, false)).toEqual(NO_SLOTS);
    expect([lease.isLimited, lease.isLow, lease.inFlight]).toEqual([false, false, 100]);
    lease.setQuota(MAX, WORKERS);
    expect(take(lease, 1)).toBe(0);
    for (let i = 0; i < 99; i++) lease.release();
    expect(take(lease, 5)).toBe(1);
  });

  test('end with the requests that took them', () => {
    const lease = leaseOf();
    take(lease, 2);
    lease.release();
    lease.release();
    expect([lease.inFlight, take(lease, 5)]).toEqual([0, 2]);
  });
});

describe('the report of a worker on its concurrent requests', () => {
  test('wants half of its share while idle, and one and a half times the peak while in use, up to the quota', () => {
    const lease = leaseOf();
    expect(lease.report(START_MS, false)).toEqual({ concurrentMax: 8, claimed: 2, wantedInFlight: 1 });
    take(lease, 2);
    expect(lease.report(START_MS, false).wantedInFlight).toBe(4);
    lease.release();
    lease.release();
    // The peak since the last report was two in flight.
    expect(lease.report(START_MS, false).wantedInFlight).toBe(4);
    expect(lease.report(START_MS, false).wantedInFlight).toBe(1);
  });

  test('counts requests that were refused as wanted, but no more than the quota', () => {
    const lease = leaseOf();
    take(lease, 3);
    expect(lease.report(START_MS, false).wantedInFlight).toBe(6);
    take(lease, 1000);
    expect(lease.report(START_MS, false).wantedInFlight).toBe(MAX);
  });

  test('claims what it may use until the reply, and never less than what is in flight', () => {
    const lease = leaseOf();
    lease.report(START_MS, false);
    grant(lease, 6);
    take(lease, 6);
    expect(lease.report(START_MS + 25, false).claimed).toBe(6);
    grant(lease, 2, START_MS + 25);
    expect(take(lease, 1, START_MS + 26)).toBe(0);
    expect(lease.report(START_MS + 50, false).claimed).toBe(6);
    for (let i = 0; i < 6; i++) lease.release();
    expect(lease.report(START_MS + 75, false).claimed).toBe(2);
  });

  test('gives up what it no longer wants before the account can lend it to another', () => {
    const lease = leaseOf();
    lease.report(START_MS, false);
    grant(lease, 8);
    const { claimed, wantedInFlight } = lease.report(START_MS + 25, false);
    expect([claimed, wantedInFlight]).toEqual([1, 1]);
    expect(take(lease, 8, START_MS + 26)).toBe(1);
  });

  test('claims nothing when it leaves, but for what is in flight', () => {
    const lease = leaseOf();
    expect(lease.report(START_MS, true)).toEqual({ concurrentMax: 8, claimed: 0, wantedInFlight: 0 });
    take(lease, 1);
    expect(lease.report(START_MS, true)).toMatchObject({ claimed: 1, wantedInFlight: 0 });
  });
});

describe('a lease of concurrent requests', () => {
  test('is short if it is less than was wanted, and then no more is fetched at once', () => {
    const lease = leaseOf();
    expect(lease.isLow).toBe(true);
    take(lease, 3);
    lease.report(START_MS, false);
    grant(lease, 2);
    expect([lease.isShort, lease.isLow]).toEqual([true, false]);
    grant(lease, 6);
    expect([lease.isShort, lease.isLow]).toEqual([false, false]);
    take(lease, 4);
    expect(lease.isLow).toBe(true);
  });

  test('that lapses leaves the share, and is not short', () => {
    const lease = leaseOf();
    take(lease, 3);
    lease.report(START_MS, false);
    grant(lease, 0);
    expect([lease.isShort, take(lease, 1, START_MS + 1)]).toEqual([true, 0]);
    lease.release();
    lease.lapse();
    expect([lease.isShort, take(lease, 5, START_MS + 1)]).toEqual([false, 1]);
  });
});
