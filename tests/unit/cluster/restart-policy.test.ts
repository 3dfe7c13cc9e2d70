import { describe, expect, test } from 'bun:test';
import { CrashLoop, RestartPolicy } from '../../../src/cluster/restart-policy.ts';

describe('a slot whose worker died', () => {
  test('gets the next one at once, then waits twice as long each time, up to 10 s', () => {
    const policy = new RestartPolicy();
    const delays = Array.from({ length: 10 }, () => policy.delayMs(50));
    expect(delays).toEqual([0, 100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
  });

  test('waits for nothing again after a worker that lived for 60 s', () => {
    const policy = new RestartPolicy();
    for (let i = 0; i < 5; i++) policy.delayMs(50);
    expect(policy.delayMs(60_000)).toBe(0);
    expect(policy.delayMs(59_999)).toBe(100);
  });
});

describe('a crash loop', () => {
  test('is more than ten deaths within 60 s', () => {
    const loop = new CrashLoop(1);
    const answers = Array.from({ length: 11 }, (_, i) => loop.died(i * 5000));
    expect(answers).toEqual([...Array<boolean>(10).fill(false), true]);
  });

  test('of many workers is more than three deaths for each', () => {
    const loop = new CrashLoop(12);
    const answers = Array.from({ length: 37 }, (_, i) => loop.died(i));
    expect(answers).toEqual([...Array<boolean>(36).fill(false), true]);
  });

  test('is not what takes longer', () => {
    const loop = new CrashLoop(1);
    expect(Array.from({ length: 50 }, (_, i) => loop.died(i * 7000))).not.toContain(true);
  });

  test('is over when one worker was ready', () => {
    const loop = new CrashLoop(1);
    for (let i = 0; i < 10; i++) loop.died(i);
    loop.ready();
    expect(loop.died(10)).toBe(false);
  });
});
