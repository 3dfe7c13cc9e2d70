import { describe, expect, test } from 'bun:test';
import { REPORT_MS } from '../../../../../src/features/identity/quotas/protocol.ts';
import { TokenLease } from '../../../../../src/features/identity/quotas/token-lease.ts';

const RATE = 100;
const WORKERS = 4;
const START_MS = 1000;

function leaseOf(rate = RATE, burst = 0, workers = WORKERS): TokenLease {
  const lease = new TokenLease();
  lease.setQuota(rate, burst, workers);
  return lease;
}

/** Offers a request every millisecond. Returns how many were served. */
function servedIn(lease: TokenLease, fromMs: number, ms: number): number {
  let served = 0;
  for (let at = fromMs; at < fromMs + ms; at++) served += Number(lease.take(at));
  return served;
}

describe('tokens of a quota on a worker', () => {
  test('are its share of the rate without an account, and no more after an idle time', () => {
    const lease = leaseOf();
    servedIn(lease, START_MS, 1000);
    expect(servedIn(lease, START_MS + 1000, 4000)).toBe((4 * RATE) / WORKERS);
    const afterHours = START_MS + 10 * 3_600_000;
    expect(servedIn(lease, afterHours, 1000)).toBeLessThanOrEqual(RATE / WORKERS + 2);
  });

  test('are at least one for a quota that is smaller than the number of workers', () => {
    const lease = leaseOf(1, 0, 8);
    expect(lease.take(START_MS)).toBe(true);
    expect(servedIn(lease, START_MS, 7999)).toBe(0);
    expect(lease.take(START_MS + 8001)).toBe(true);
  });

  test('of a share are owed to the account once, or again if the report failed, up to the capacity', () => {
    const lease = leaseOf();
    const served = servedIn(lease, START_MS, 100);
    expect(served).toBeGreaterThan(1);
    expect(lease.report(START_MS + 100, false, REPORT_MS).owed).toBe(served);
    lease.fail();
    expect(lease.report(START_MS + 100, false, REPORT_MS).owed).toBe(served);
    lease.accept({ granted: 0, waitMs: 0, lease: 0 }, START_MS + 100, START_MS + 101);
    expect(lease.report(START_MS + 125, false, REPORT_MS).owed).toBe(0);
    lease.fail();
    servedIn(lease, START_MS + 200, 60_000);
    expect(lease.report(START_MS + 70_000, false, REPORT_MS).owed).toBe(5);
  });

  test('of a grant are spread over the interval while the quota is used up', () => {
    const lease = leaseOf();
    servedIn(lease, START_MS, 25);
    lease.report(START_MS + 25, false, REPORT_MS);
    lease.accept({ granted: 2, waitMs: 10, lease: 0 }, START_MS + 25, START_MS + 26);
    expect(lease.take(START_MS + 26)).toBe(true);
    expect(lease.take(START_MS + 27)).toBe(false);
    expect(lease.take(START_MS + 39)).toBe(true);
    expect(servedIn(lease, START_MS + 40, 500)).toBe(0);
  });

  test('of a grant are void once the account has counted them as gone', () => {
    const lease = leaseOf(RATE, 1000);
    servedIn(lease, START_MS, 25);
    const { wanted } = lease.report(START_MS + 25, false, REPORT_MS);
    lease.accept({ granted: wanted, waitMs: 0, lease: 0 }, START_MS + 25, START_MS + 26);
    expect(lease.take(START_MS + 600)).toBe(true);
    // From then on the share, which has refilled for the 600 ms since.
    let served = 0;
    while (lease.take(START_MS + 626)) served++;
    expect(served).toBe(15);
  });

  test('that others lack go back at once when there are no requests', () => {
    const lease = leaseOf();
    servedIn(lease, START_MS, 25);
    lease.report(START_MS + 25, false, REPORT_MS);
    lease.accept({ granted: 2, waitMs: 10, lease: 0 }, START_MS + 25, START_MS + 26);
    servedIn(lease, START_MS + 26, 1);
    lease.report(START_MS + 51, false, REPORT_MS);
    lease.accept({ granted: 2, waitMs: 10, lease: 0 }, START_MS + 51, START_MS + 52);
    expect(lease.report(START_MS + 76, false, REPORT_MS)).toMatchObject({ kept: 0, returned: 3, wanted: 0 });
  });

  test('all go back when the worker leaves, and its next requests start on the share', () => {
    const lease = leaseOf(RATE, 1000);
    servedIn(lease, START_MS, 25);
    const { wanted } = lease.report(START_MS + 25, false, REPORT_MS);
    lease.accept({ granted: wanted, waitMs: 0, lease: 0 }, START_MS + 25, START_MS + 26);
    const leaving = lease.report(START_MS + 600, true, REPORT_MS);
    expect(leaving).toMatchObject({ kept: 0, returned: wanted, wanted: 0 });
    lease.accept({ granted: 0, waitMs: 0, lease: 0 }, START_MS + 600, START_MS + 601);
    lease.leave();
    expect(servedIn(lease, START_MS + 602, 100)).toBe(100);
  });

  test('can be put back, whether granted or of the share', () => {
    const lease = leaseOf();
    for (let i = 0; i < 10; i++) {
      expect(lease.take(START_MS)).toBe(true);
      lease.putBack();
    }
    expect([lease.shareCount, lease.report(START_MS, false, REPORT_MS).owed]).toEqual([0, 0]);
    lease.accept({ granted: 1, waitMs: 10, lease: 0 }, START_MS, START_MS);
    for (let i = 0; i < 10; i++) {
      expect(lease.take(START_MS + 1)).toBe(true);
      lease.putBack();
    }
    expect([lease.take(START_MS + 1), lease.take(START_MS + 1)]).toEqual([true, false]);
  });
});
