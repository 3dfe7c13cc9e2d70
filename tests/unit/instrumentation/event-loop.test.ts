import { expect, test } from 'bun:test';
import { LoopDelays, sameTurn } from '../../../src/instrumentation/event-loop.ts';

test('a blocked loop shows in the delay, and the next call starts over', async () => {
  const delayMs = new LoopDelays().takeMeanMs;
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

test('a turn of the event loop is the same until it ends, however long it takes', async () => {
  const isSame = sameTurn();
  expect(isSame()).toBe(false);
  // Microtasks belong to the turn.
  for (let hop = 0; hop < 10; hop++) await null;
  expect(isSame()).toBe(true);
  await new Promise(setImmediate);
  await new Promise(setImmediate);
  expect(isSame()).toBe(false);
});
