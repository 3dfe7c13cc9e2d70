import { expect, test } from 'bun:test';
import { eventLoopDelayMs } from '../../../src/instrumentation/event-loop.ts';

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
