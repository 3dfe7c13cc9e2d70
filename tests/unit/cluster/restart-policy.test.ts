import { describe, expect, test } from 'bun:test';
import { RestartPolicy } from '../../../src/cluster/restart-policy.ts';

describe('a slot whose worker died', () => {
  test('restarts immediately the first time, then with delays that double up to 10 s', () => {
    const policy = new RestartPolicy();
    const delays = Array.from({ length: 10 }, () => policy.delayMs(50));
    expect(delays).toEqual([0, 100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
  });

  test('restarts immediately after a worker that ran for 60 s', () => {
    const policy = new RestartPolicy();
    for (let i = 0; i < 5; i++) policy.delayMs(50);
    expect(policy.delayMs(60_000)).toBe(0);
    expect(policy.delayMs(59_999)).toBe(100);
  });
});
