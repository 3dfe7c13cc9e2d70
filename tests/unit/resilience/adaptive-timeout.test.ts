import { expect, test } from 'bun:test';
import { AdaptiveTimeout } from '../../../src/resilience/adaptive-timeout.ts';

const BOUNDS = { floorMs: 100, maxMs: 10_000 };

function after(durationsMs: Iterable<number>, bounds = BOUNDS): AdaptiveTimeout {
  const timeout = new AdaptiveTimeout(bounds);
  for (const durationMs of durationsMs) timeout.observe(durationMs);
  return timeout;
}
const many = (count: number, durationMs: number) => Array<number>(count).fill(durationMs);

test('the timeout is the maximum until there are enough samples', () => {
  expect(after([]).timeoutMs).toBe(10_000);
  expect(after(many(99, 50)).timeoutMs).toBe(10_000);
});

test('it is four times the 99th percentile, to within one bucket', () => {
  const { timeoutMs } = after(many(200, 50));
  expect(timeoutMs).toBeGreaterThanOrEqual(200);
  expect(timeoutMs).toBeLessThanOrEqual(200 * 1.25);
});

test('the slowest 1 % of calls do not count, but more than that do', () => {
  const few = (i: number) => (i % 200 === 0 ? 1500 : 50);
  const more = (i: number) => (i % 20 === 0 ? 1500 : 50);
  expect(after(Array.from({ length: 900 }, (_, i) => few(i))).timeoutMs).toBeLessThan(300);
  expect(after(Array.from({ length: 900 }, (_, i) => more(i))).timeoutMs).toBeGreaterThan(6000);
});

test('it stays between its floor and its maximum for any sample', () => {
  expect(after(many(500, 0.01)).timeoutMs).toBe(100);
  expect(after(many(500, 1e9)).timeoutMs).toBe(10_000);
  expect(after(many(500, 50), { floorMs: 700, maxMs: 700 }).timeoutMs).toBe(700);
});

test('calls that time out never lower it, and it adapts to a slower dependency in a few steps', () => {
  const timeout = after(many(1000, 5));
  expect(timeout.timeoutMs).toBe(100);
  // From now on every call takes 3 s, so each one is canceled at the timeout.
  const seen = [timeout.timeoutMs];
  for (let call = 0; call < 2000 && timeout.timeoutMs < 3000; call++) {
    timeout.observe(timeout.timeoutMs);
    if (timeout.timeoutMs !== seen.at(-1)) seen.push(timeout.timeoutMs);
  }
  expect(timeout.timeoutMs).toBeGreaterThanOrEqual(3000);
  expect(seen.length).toBeLessThanOrEqual(5);
  for (const [i, value] of seen.entries()) {
    if (i === 0) continue;
    expect(value).toBeGreaterThan(seen[i - 1]!);
    expect(value).toBeLessThanOrEqual(seen[i - 1]! * 4 * 1.25);
  }
});

test('old samples fade: it is short again after a long incident', () => {
  const timeout = after(many(100_000, 2000));
  expect(timeout.timeoutMs).toBeGreaterThan(7000);
  for (let call = 0; call < 10_000; call++) timeout.observe(20);
  expect(timeout.timeoutMs).toBe(100);
});
