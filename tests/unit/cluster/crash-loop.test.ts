import { describe, expect, test } from 'bun:test';
import { CrashLoop } from '../../../src/cluster/crash-loop.ts';

describe('a crash loop', () => {
  test('is more than ten deaths within 60 s', () => {
    const loop = new CrashLoop(1);
    const results = Array.from({ length: 11 }, (_, i) => loop.recordDeath(i * 5000));
    expect(results).toEqual([...Array<boolean>(10).fill(false), true]);
  });

  test('of many workers is more than three deaths per worker', () => {
    const loop = new CrashLoop(12);
    const results = Array.from({ length: 37 }, (_, i) => loop.recordDeath(i));
    expect(results).toEqual([...Array<boolean>(36).fill(false), true]);
  });

  test('is not detected if deaths are further apart', () => {
    const loop = new CrashLoop(1);
    expect(Array.from({ length: 50 }, (_, i) => loop.recordDeath(i * 7000))).not.toContain(true);
  });

  test('ends when a worker becomes ready', () => {
    const loop = new CrashLoop(1);
    for (let i = 0; i < 10; i++) loop.recordDeath(i);
    loop.reset();
    expect(loop.recordDeath(10)).toBe(false);
  });
});
