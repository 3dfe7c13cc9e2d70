import { expect, test } from 'bun:test';
import { type BackgroundLoop, BackgroundLoops } from '../../../src/resilience/background-loops.ts';
import { inVirtualTime, pass, settled } from '../../support/virtual-time.ts';

const BACKOFF = { RETRY_MULTIPLIER: 2, RETRY_MIN_WAIT: 1, RETRY_MAX_WAIT: 10, RETRY_JITTER: false };

/** A scripted loop that logs its starts and ends. */
function scripted(name: string, run: (signal: AbortSignal, start: number) => Promise<void>) {
  const log: string[] = [];
  const loop: BackgroundLoop = {
    name,
    run: async (signal) => {
      log.push('starts');
      try {
        await run(signal, log.filter((line) => line === 'starts').length);
      } finally {
        log.push('ends');
      }
    },
  };
  return { loop, log, starts: () => log.filter((line) => line === 'starts').length };
}
const untilAborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));

test('loops run from start to stop, and stop waits until each has completed its work', async () => {
  const cleanup = Promise.withResolvers<void>();
  const quick = scripted('quick', untilAborted);
  const slow = scripted('slow', (signal) => untilAborted(signal).then(() => cleanup.promise));
  const loops = new BackgroundLoops([quick.loop, slow.loop], BACKOFF, () => expect.unreachable());
  expect(quick.log).toEqual([]);
  loops.start();
  loops.start();
  await settled();
  expect([quick.log, slow.log]).toEqual([['starts'], ['starts']]);
  let stopped = false;
  const stopping = loops.stop().then(() => {
    stopped = true;
  });
  await settled();
  expect([stopped, quick.log, slow.log]).toEqual([false, ['starts', 'ends'], ['starts']]);
  cleanup.resolve();
  await stopping;
  expect(slow.log).toEqual(['starts', 'ends']);
});

test('a restart waits until the previous run has ended', async () => {
  const cleanup = Promise.withResolvers<void>();
  const slow = scripted('slow', (signal, start) =>
    untilAborted(signal).then(() => (start === 1 ? cleanup.promise : undefined)),
  );
  const loops = new BackgroundLoops([slow.loop], BACKOFF, () => expect.unreachable());
  loops.start();
  await settled();
  void loops.stop();
  loops.start();
  await settled();
  expect(slow.log).toEqual(['starts']);
  cleanup.resolve();
  await settled();
  expect(slow.log).toEqual(['starts', 'ends', 'starts']);
  await loops.stop();
});

test('a failing loop is restarted with growing waits and its failures are reported; the others keep running', () =>
  inVirtualTime(async () => {
    const failures: string[] = [];
    const broken = scripted('broken', async () => {
      throw new Error('it broke');
    });
    const healthy = scripted('healthy', untilAborted);
    const loops = new BackgroundLoops([broken.loop, healthy.loop], BACKOFF, (name, error) =>
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
    expect(healthy.log).toEqual(['starts']);
    await loops.stop();
  }));

test('the wait between restarts has a maximum', () =>
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

test('stop also ends a wait and leaves no timer, and nothing starts afterwards', () =>
  inVirtualTime(async (pendingTimers) => {
    const broken = scripted('broken', async () => {
      throw new Error('it broke');
    });
    const loops = new BackgroundLoops([broken.loop], BACKOFF, () => {});
    loops.start();
    await settled();
    expect(pendingTimers('src/resilience')).toBe(1);
    await loops.stop();
    expect(pendingTimers('src/resilience')).toBe(0);
    await pass(60_000);
    expect(broken.starts()).toBe(1);
  }));

test('a loop that ends unexpectedly is restarted after a wait, like one that fails', async () => {
  const failures: string[] = [];
  const brief = scripted('brief', async () => {});
  const loops = new BackgroundLoops([brief.loop], BACKOFF, (_name, error) =>
    failures.push((error as Error).message),
  );
  loops.start();
  await settled();
  expect([brief.starts(), failures]).toEqual([1, ['the loop ended unexpectedly']]);
  await loops.stop();
  expect(brief.starts()).toBe(1);
});
