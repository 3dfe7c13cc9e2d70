import { jest } from 'bun:test';

const STEP_MS = 10;

/** Runs a test in virtual time: only {@link pass} advances timers and the monotonic clock. */
export async function inVirtualTime(work: () => Promise<void>): Promise<void> {
  jest.useFakeTimers();
  try {
    await work();
  } finally {
    jest.useRealTimers();
  }
}

/** Advances virtual time. The effects of each timer settle before the next one fires. */
export async function pass(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= STEP_MS) {
    jest.advanceTimersByTime(Math.min(STEP_MS, left));
    await settled();
  }
}

/** Waits until everything that needs no time has settled. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
}
