import { expect, jest, test } from 'bun:test';
import { type BackgroundLoop, BackgroundLoops } from '../../../src/resilience/background-loops.ts';
import { inVirtualTime, pass, settled } from '../../support/virtual-time.ts';

const BACKOFF = { RETRY_MULTIPLIER: 2, RETRY_MIN_WAIT: 1, RETRY_MAX_WAIT: 10, RETRY_JITTER: false };

/** A loop that does as it is told, and writes down what happens to it. */
function scripted(name: string, run: (signal: AbortSignal, start: number) => Promise<void>) {
  const log: string[] = [];
  const loop: BackgroundLoop = {
    name,
    run: async (signal) => {
      log.push('begins');
      try {
        await run(signal, log.filter((line) => line === 'begins').length);
      } finally {
        log.push('ends');
      }
    },
  };
  return { loop, log, starts: () => log.filter((line) => line === 'begins').length };
}
const untilAborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));

test('loops run from start to stop, and stop waits until each has ended what it had begun', async () => {
  const tidying = Promise.withResolvers<void>();
  const quick = scripted('quick', untilAborted);
  const careful = scripted('careful', (signal) => untilAborted(signal).then(() => tidying.promise));
  const loops = new BackgroundLoops([quick.loop, careful.loop], BACKOFF, () => expect.unreachable());
  expect(quick.log).toEqual([]);
  loops.start();
  loops.start();
  await settled();
  expect([quick.log, careful.log]).toEqual([['begins'], ['begins']]);
  let stopped = false;
  const stopping = loops.stop().then(() => {
    stopped = true;
  });
  await settled();
  expect([stopped, quick.log, careful.log]).toEqual([false, ['begins', 'ends'], ['begins']]);
  tidying.resolve();
  await stopping;
  expect(careful.log).toEqual(['begins', 'ends']);
});

test('started again, they begin only when those of before have ended', async () => {
  const tidying = Promise.withResolvers<void>();
  const slow = scripted('slow', (signal, start) =>
    untilAborted(signal).then(() => (start === 1 ? tidying.promise : undefined)),
  );
  const loops = new BackgroundLoops([slow.loop], BACKOFF, () => expect.unreachable());
  loops.start();
  await settled();
  void loops.stop();
  loops.start();
  await settled();
  expect(slow.log).toEqual(['begins']);
  tidying.resolve();
  await settled();
  expect(slow.log).toEqual(['begins', 'ends', 'begins']);
  await loops.stop();
});

test('one that fails is started anew, each time later, and its failures are told; the others go on', () =>
  inVirtualTime(async () => {
    const failures: string[] = [];
    const broken = scripted('broken', async () => {
      throw new Error('it broke');
    });
    const sound = scripted('sound', untilAborted);
    const loops = new BackgroundLoops([broken.loop, sound.loop], BACKOFF, (name, error) =>
      failures.push(`${name}: ${(error as Error).message}`),
    );
    loops.start();
    await settled();
    const starts = [broken.starts()];
    for (const ms of [990, 20, 1980, 40, 3960, 40]) {
      await pass(ms);
      starts.push(broken.starts());
    }
    expect(starts).toEqual([1, 1, 2, 2, 3, 3, 4]);
    expect(failures).toEqual(Array(4).fill('broken: it broke'));
    expect(sound.log).toEqual(['begins']);
    await loops.stop();
  }));

test('however often it fails, it waits no longer than the longest wait', () =>
  inVirtualTime(async () => {
    const broken = scripted('broken', async () => {
      throw new Error('it broke');
    });
    const loops = new BackgroundLoops([broken.loop], BACKOFF, () => {});
    loops.start();
    await pass(300_000);
    const before = broken.starts();
    await pass(10_100);
    expect(broken.starts()).toBe(before + 1);
    await loops.stop();
  }));

test('stop ends a wait too, leaves no timer behind, and nothing begins after it', () =>
  inVirtualTime(async () => {
    const timers = jest.getTimerCount();
    const broken = scripted('broken', async () => {
      throw new Error('it broke');
    });
    const loops = new BackgroundLoops([broken.loop], BACKOFF, () => {});
    loops.start();
    await settled();
    await loops.stop();
    expect(jest.getTimerCount()).toBe(timers);
    await pass(60_000);
    expect(broken.starts()).toBe(1);
  }));

test('one that ends though nobody told it to is started anew like one that fails, after a wait', async () => {
  const told: string[] = [];
  const brief = scripted('brief', async () => {});
  const loops = new BackgroundLoops([brief.loop], BACKOFF, (_name, error) =>
    told.push((error as Error).message),
  );
  loops.start();
  await settled();
  expect([brief.starts(), told]).toEqual([1, ['it ended without being told to']]);
  await loops.stop();
  expect(brief.starts()).toBe(1);
});
