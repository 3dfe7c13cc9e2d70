import { expect, test } from 'bun:test';
import { eventLoopDelayMs, LoopDelays } from '../../../src/instrumentation/event-loop.ts';

test('a blocked loop shows in the delay, and the next call starts over', async () => {
  const delayMs = eventLoopDelayMs();
  await Bun.sleep(20);
  delayMs();
  const endMs = performance.now() + 200;
  while (performance.now() < endMs);
  await Bun.sleep(20);
  expect(delayMs()).toBeGreaterThan(20);
  // Without observations the mean is NaN, which must not reach the limit.
  expect(delayMs()).toBe(0);
});

test('the mean and the longest delay are taken separately', async () => {
  const delays = new LoopDelays();
  await Bun.sleep(20);
  const endMs = performance.now() + 200;
  while (performance.now() < endMs);
  await Bun.sleep(20);
  expect(delays.takeLongestMs()).toBeGreaterThan(100);
  expect(delays.takeMeanMs()).toBeGreaterThan(0);
  expect(delays.takeLongestMs()).toBe(0);
  expect(delays.takeMeanMs()).toBe(0);
});
