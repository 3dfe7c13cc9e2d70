import { describe, expect, test } from 'bun:test';
import type { Quota } from '../../../../../src/features/identity/quota.ts';
import { METERS_MAX, Meters } from '../../../../../src/features/identity/quotas/meters.ts';
import {
  REPORTS_PER_CALL,
  REPORTS_PER_SECOND_MAX,
} from '../../../../../src/features/identity/quotas/protocol.ts';
import { until } from '../../../../support/until.ts';

const QUOTA: Quota = { requestsPerSecond: 1000, burst: 1000, concurrentRequests: null };
const NUMBERS_PER_REPORT = 9;

/** An account that grants everything, and records the names in each command. */
function storeInMemory() {
  const state = { calls: [] as (readonly string[])[], mode: 'ok' as 'ok' | 'fails' | 'silent' };
  const run = async (names: readonly string[], args: readonly (string | number)[]) => {
    state.calls.push(names);
    if (state.mode === 'fails') throw new Error('Connection is closed.');
    if (state.mode === 'silent') return new Promise<number[]>(() => {});
    const wanted = names.map((_, i) => Number(args[2 + i * NUMBERS_PER_REPORT + 5]));
    return wanted.flatMap((count) => [count, 0, 0]);
  };
  return { state, store: { run } };
}

const take = (meters: Meters, id: string) =>
  meters.of({ kind: 'key', id }, QUOTA).take(performance.now()) === null;

describe('the meters of a worker', () => {
  test('decide at once, and report in the background, many quotas in one command', async () => {
    const { state, store } = storeInMemory();
    const meters = new Meters({ store, workers: () => 2 });
    for (let i = 0; i < 50; i++) expect(take(meters, `k${i}`)).toBe(true);
    expect(state.calls).toEqual([]);
    await until(() => state.calls.length > 0);
    expect(state.calls[0]).toHaveLength(50);
    expect(state.calls[0]).toContain('key:k7');
    await until(() => meters.stats().reports > 0);
    expect(meters.stats()).toMatchObject({ tracked: 50, onShare: 50, reportsFailed: 0, intervalMs: 25 });
  });

  test.each([
    [400, 32],
    [4000, 4],
  ])(
    'of %d busy quotas report no more than Redis has time for, if %d workers do, and each in turn',
    async (quotas, workers) => {
      const { state, store } = storeInMemory();
      const meters = new Meters({ store, workers: () => workers });
      const known = Array.from({ length: quotas }, (_, i) => meters.of({ kind: 'key', id: `k${i}` }, QUOTA));
      const startMs = performance.now();
      const reported = () => state.calls.reduce((sum, names) => sum + names.length, 0);
      const seen = new Map<string, number>();
      let calls = 0;
      await until(
        () => {
          for (const meter of known) meter.take(performance.now());
          for (; calls < state.calls.length; calls++)
            for (const name of state.calls[calls]!) seen.set(name, (seen.get(name) ?? 0) + 1);
          return seen.size === quotas && Math.min(...seen.values()) >= 3;
        },
        { pollMs: 5, deadlineMs: 20_000 },
      );
      const seconds = (performance.now() - startMs) / 1000;
      expect(reported()).toBeLessThanOrEqual((seconds * REPORTS_PER_SECOND_MAX) / workers + REPORTS_PER_CALL);
      expect(Math.max(...seen.values())).toBeLessThanOrEqual(Math.min(...seen.values()) + 1);
      expect(meters.stats().intervalMs).toBeGreaterThan(400);
      expect(meters.stats().intervalMs).toBeLessThanOrEqual(500);
    },
  );

  test('stop reporting quotas that are not used', async () => {
    const { state, store } = storeInMemory();
    const meters = new Meters({ store, workers: () => 2 });
    take(meters, 'k');
    await until(() => state.calls.length > 1);
    let before = -1;
    await until(
      async () => {
        const isQuiet = state.calls.length === before;
        before = state.calls.length;
        return isQuiet;
      },
      { pollMs: 600 },
    );
    expect(take(meters, 'k')).toBe(true);
    await until(() => state.calls.length > before);
  });

  test.each(['fails', 'silent'] as const)(
    'use their share while the account %s, and its tokens afterwards',
    async (mode) => {
      const { state, store } = storeInMemory();
      const meters = new Meters({ store, workers: () => 2 });
      state.mode = mode;
      take(meters, 'k');
      await until(() => meters.stats().reportsFailed > 1);
      expect(take(meters, 'k')).toBe(true);
      state.mode = 'ok';
      await until(() => meters.stats().reports > 0);
      const { onShare } = meters.stats();
      expect(take(meters, 'k')).toBe(true);
      expect(meters.stats().onShare).toBe(onShare);
    },
  );

  test('without Redis, use their share of the quota', () => {
    const meters = new Meters({ store: null, workers: () => 4 });
    let served = 0;
    for (let i = 0; i < 10_000; i++)
      served += Number(meters.of({ kind: 'key', id: 'k' }, QUOTA).take(1000) === null);
    // A quarter of the burst, and of the tolerance.
    expect(served).toBe(Math.floor((1000 + 1 + 40) / 4));
  });

  test('are one for the same subject, with the quota that it has now', () => {
    const meters = new Meters({ store: null, workers: () => 1 });
    const first = meters.of({ kind: 'key', id: 'a' }, QUOTA);
    const changed = { ...QUOTA, requestsPerSecond: 5 };
    expect(meters.of({ kind: 'key', id: 'a' }, changed)).toBe(first);
    expect(first.quota).toEqual(changed);
    expect(meters.of({ kind: 'organization', id: 'a' }, QUOTA)).not.toBe(first);
  });

  test('are bounded, and those used longest ago are forgotten', () => {
    const meters = new Meters({ store: null, workers: () => 1 });
    const oldest = meters.of({ kind: 'key', id: 'oldest' }, QUOTA);
    const used = meters.of({ kind: 'key', id: 'used' }, QUOTA);
    oldest.take(1);
    for (let i = 0; i < METERS_MAX - 1; i++) {
      meters.of({ kind: 'key', id: `k${i}` }, QUOTA);
      meters.of({ kind: 'key', id: 'used' }, QUOTA);
    }
    expect(meters.stats()).toMatchObject({ tracked: METERS_MAX, onShare: 1 });
    expect(meters.of({ kind: 'key', id: 'used' }, QUOTA)).toBe(used);
    expect(meters.of({ kind: 'key', id: 'oldest' }, QUOTA)).not.toBe(oldest);
  });
});
