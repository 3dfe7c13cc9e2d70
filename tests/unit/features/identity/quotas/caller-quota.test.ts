import { describe, expect, test } from 'bun:test';
import type { Quota } from '../../../../../src/features/identity/quota.ts';
import { CallerQuota } from '../../../../../src/features/identity/quotas/caller-quota.ts';
import { Meter } from '../../../../../src/features/identity/quotas/meter.ts';

const NOW_MS = 1000;

const quotaOf = (facts: Partial<Quota>): Quota => ({
  requestsPerSecond: null,
  burst: 0,
  concurrentRequests: null,
  ...facts,
});
const meterOf = (kind: 'key' | 'organization', facts: Partial<Quota>) =>
  new Meter({ kind, id: 'a' }, quotaOf(facts), 1, () => {});
const refuse = ({ subject }: Meter, exceeded: string) => new Error(`${subject.kind}: ${exceeded}`);

/** Takes until a refusal, at one moment. Returns how many were taken, and the refusal. */
function takeAll(quota: CallerQuota): [number, string] {
  for (let taken = 0; ; taken++) {
    const refusal = quota.take(NOW_MS);
    if (refusal !== null) return [taken, refusal.message];
  }
}

describe('the quotas of a caller', () => {
  test('are those of its key and of its organization, and the smaller one refuses', () => {
    const small = { requestsPerSecond: 10, burst: 3 };
    const large = { requestsPerSecond: 10, burst: 50 };
    expect(takeAll(new CallerQuota(meterOf('key', small), meterOf('organization', large), refuse))).toEqual([
      4,
      'key: requests',
    ]);
    expect(takeAll(new CallerQuota(meterOf('key', large), meterOf('organization', small), refuse))).toEqual([
      4,
      'organization: requests',
    ]);
  });

  test('lose nothing of the key to a request that the organization refuses', () => {
    const key = meterOf('key', { requestsPerSecond: 10, burst: 3, concurrentRequests: 100 });
    const used = new CallerQuota(key, meterOf('organization', { requestsPerSecond: 10, burst: 1 }), refuse);
    expect(takeAll(used)).toEqual([2, 'organization: requests']);
    expect(key.inFlight).toBe(2);
    for (let i = 0; i < 10; i++) used.take(NOW_MS);
    expect(takeAll(new CallerQuota(key, null, refuse))).toEqual([2, 'key: requests']);
  });

  test('release a request of both, whichever limits requests in flight', () => {
    for (const [ofKey, ofOrganization] of [
      [2, null],
      [null, 2],
      [2, 2],
      [3, 2],
    ]) {
      const key = meterOf('key', { requestsPerSecond: 1000, burst: 1000, concurrentRequests: ofKey! });
      const organization = meterOf('organization', { concurrentRequests: ofOrganization! });
      const quota = new CallerQuota(key, organization, refuse);
      for (let round = 0; round < 5; round++) {
        const [taken, message] = takeAll(quota);
        expect([taken, message]).toEqual([2, expect.stringContaining('concurrent_requests')]);
        for (let i = 0; i < taken; i++) quota.slots!.release();
        expect([key.inFlight, organization.inFlight]).toEqual([0, 0]);
      }
    }
    expect(new CallerQuota(meterOf('key', { requestsPerSecond: 1 }), null, refuse).slots).toBeNull();
  });

  test('stay exact when an operator changes the limit while requests are in flight', () => {
    const key = meterOf('key', { requestsPerSecond: 1000, burst: 1000 });
    const quota = new CallerQuota(key, null, refuse);
    // A request from before there was a limit is not counted, then or later.
    expect([quota.take(NOW_MS), quota.slots]).toEqual([null, null]);
    key.setQuota(quotaOf({ concurrentRequests: 2 }), 1);
    expect(takeAll(quota)[0]).toBe(2);
    key.setQuota(quotaOf({ requestsPerSecond: 1000, burst: 1000 }), 1);
    expect(quota.take(NOW_MS)).toBeNull();
    key.setQuota(quotaOf({ concurrentRequests: 3 }), 1);
    expect(takeAll(quota)[0]).toBe(0);
    for (let i = 0; i < 3; i++) quota.slots!.release();
    expect(takeAll(quota)[0]).toBe(3);
  });
});
