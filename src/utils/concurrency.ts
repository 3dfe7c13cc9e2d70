import { FairQueue } from './fair-queue.ts';

/**
 * Runs at most `max` tasks concurrently and queues the others in FIFO order. The caller bounds the length of the queue.
 */
export function limitConcurrency(max: number): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (work) => {
    if (running < max) running++;
    // A finished task hands its slot to the next waiter, so that no new task can take it in between.
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else running--;
    }
  };
}

interface OwnerTask {
  readonly owner: string;
  readonly cost: 1;
  readonly start: () => void;
}

/** Like {@link limitConcurrency}, but the owners of queued tasks take turns ({@link FairQueue}). */
export function limitConcurrencyByOwner(
  max: number,
): <T>(owner: string, work: () => Promise<T>) => Promise<T> {
  const waiting = new FairQueue<OwnerTask>(1);
  let running = 0;
  return async (owner, work) => {
    if (running < max) running++;
    else await new Promise<void>((start) => waiting.push({ owner, cost: 1, start }));
    try {
      return await work();
    } finally {
      const [next] = waiting.take(1);
      if (next) next.start();
      else running--;
    }
  };
}
