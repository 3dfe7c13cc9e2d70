import { jest } from 'bun:test';

const STEP_MS = 10;

/** Returns how many timers that code below a folder has set in this virtual time are still pending. */
export type PendingTimers = (folder: string) => number;

/** Runs a test in virtual time: only {@link pass} advances timers and the monotonic clock. */
export async function inVirtualTime(work: (pendingTimers: PendingTimers) => Promise<void>): Promise<void> {
  jest.useFakeTimers();
  const { pending, restore } = watchTimers();
  try {
    await work(pending);
  } finally {
    restore();
    jest.useRealTimers();
  }
}

/** Remembers who sets timers: in a process with other tests, some of those may set timers meanwhile. */
function watchTimers(): { pending: PendingTimers; restore(): void } {
  const { setTimeout, setInterval, clearTimeout, clearInterval } = globalThis;
  const stacks = new Map<unknown, string>();
  const set = (real: typeof setTimeout, isOnce: boolean) =>
    ((callback: (...given: unknown[]) => void, ms?: number, ...given: unknown[]) => {
      const fire = (...values: unknown[]) => {
        if (isOnce) stacks.delete(timer);
        callback(...values);
      };
      const timer = real(fire, ms, ...given);
      stacks.set(timer, new Error().stack!);
      return timer;
    }) as typeof setTimeout;
  const clear = (real: typeof clearTimeout) =>
    ((timer) => {
      stacks.delete(timer);
      real(timer as Parameters<typeof clearTimeout>[0]);
    }) as typeof clearTimeout;
  Object.assign(globalThis, {
    setTimeout: set(setTimeout, true),
    setInterval: set(setInterval as typeof setTimeout, false),
    clearTimeout: clear(clearTimeout),
    clearInterval: clear(clearInterval as typeof clearTimeout),
  });
  return {
    pending: (folder) => [...stacks.values()].filter((stack) => stack.includes(`/${folder}/`)).length,
    restore: () => void Object.assign(globalThis, { setTimeout, setInterval, clearTimeout, clearInterval }),
  };
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
