import { describe, expect, test } from 'bun:test';
import { WakeUp } from '../../../src/utils/wake-up.ts';

const NEVER = new AbortController().signal;
const FOREVER_MS = 60_000;

async function elapsedMs(work: Promise<void>): Promise<number> {
  const startMs = performance.now();
  await work;
  return performance.now() - startMs;
}

describe('a sleep', () => {
  test('lasts its maximum if nobody wakes it', async () => {
    expect(await elapsedMs(new WakeUp().sleep(1, 30, NEVER))).toBeWithin(25, 10_000);
  });

  test('ends when it is woken', async () => {
    const wakeUp = new WakeUp();
    const sleeping = elapsedMs(wakeUp.sleep(1, FOREVER_MS, NEVER));
    setTimeout(() => wakeUp.wake(), 20);
    expect(await sleeping).toBeLessThan(10_000);
  });

  test('lasts its minimum if it was woken before, and that counts once', async () => {
    const wakeUp = new WakeUp();
    wakeUp.wake();
    expect(await elapsedMs(wakeUp.sleep(10, FOREVER_MS, NEVER))).toBeWithin(8, 10_000);
    expect(await elapsedMs(wakeUp.sleep(1, 30, NEVER))).toBeWithin(25, 10_000);
  });

  test('ends when its signal aborts, before or during it', async () => {
    const controller = new AbortController();
    const sleeping = elapsedMs(new WakeUp().sleep(1, FOREVER_MS, controller.signal));
    setTimeout(() => controller.abort(), 20);
    expect(await sleeping).toBeLessThan(10_000);
    expect(await elapsedMs(new WakeUp().sleep(1000, FOREVER_MS, controller.signal))).toBeLessThan(500);
  });
});
