import { describe, expect, test } from 'bun:test';
import { addTally, emptyTally, failuresOf, RequestStats } from '../../../../src/cli/demo/request-stats.ts';

describe('the stats of a demo', () => {
  test('count each response as what its caller saw', () => {
    const stats = new RequestStats();
    for (const status of [200, 201, 429, 503, 504, 0, 500, -1])
      stats.record(status, performance.now() - 5, 'body');
    const tally = stats.takeTally();
    expect(tally).toMatchObject({
      served: 2,
      refused: 1,
      unavailable: 1,
      timedOut: 1,
      disconnected: 1,
      wrong: 2,
    });
    expect(tally.slowestMs).toBeGreaterThanOrEqual(5);
    expect(failuresOf(tally)).toBe(5);
    expect(stats.wrong).toEqual(['500 body', '-1 body']);
    expect(stats.takeTally()).toEqual(emptyTally());
  });

  test('do not count a 429 as a failure', () => {
    const stats = new RequestStats();
    stats.record(429, performance.now(), '');
    expect(stats.lastFailureMs).toBe(0);
    stats.record(503, performance.now(), '');
    expect(stats.lastFailureMs).toBeGreaterThan(0);
  });

  test('measure a gap that still lasts only while requests are sent', async () => {
    const stats = new RequestStats();
    await Bun.sleep(5);
    expect(stats.longestGapMs(true)).toBeGreaterThan(4);
    expect(stats.longestGapMs(false)).toBe(0);
    stats.record(200, performance.now(), '');
    expect(stats.longestGapMs(false)).toBeGreaterThan(4);
  });

  test('add up, with the slowest of all', () => {
    const total = emptyTally();
    addTally(total, { ...emptyTally(), served: 2, slowestMs: 9 });
    addTally(total, { ...emptyTally(), served: 1, disconnected: 1, slowestMs: 3 });
    expect(total).toEqual({ ...emptyTally(), served: 3, disconnected: 1, slowestMs: 9 });
  });
});
