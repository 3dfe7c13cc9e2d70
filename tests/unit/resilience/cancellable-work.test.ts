import { describe, expect, test } from 'bun:test';
import { type RunningWork, startWork } from '../../../src/resilience/cancellable-work.ts';
import { endless } from '../../support/dependency.ts';
import { inVirtualTime, pass, settled } from '../../support/virtual-time.ts';

/** Starts work with a limit of one second, and logs its callbacks. */
function start(work: (signal: AbortSignal) => PromiseLike<number>, signal?: AbortSignal) {
  const log: string[] = [];
  const running = new Set<RunningWork>();
  const result = startWork(work, {
    name: 'the work',
    limitMs: 1000,
    signal,
    running,
    onSettled: (ending) => log.push(ending),
    onEnded: (wasAbandoned) => log.push(wasAbandoned ? 'abandoned' : 'ended'),
  });
  return { log, running, outcome: result.catch((error: Error) => error) };
}

describe('work', () => {
  test('that returns or throws settles its caller and ends', async () => {
    const good = start(async () => 7);
    expect(good.running.size).toBe(1);
    expect(await good.outcome).toBe(7);
    expect([good.log, good.running.size]).toEqual([['ended', 'returned'], 0]);
    const bad = start(() => {
      throw new Error('broken');
    });
    expect(await bad.outcome).toMatchObject({ message: 'broken' });
    expect(bad.log).toEqual(['ended', 'threw']);
  });

  test('is canceled at its limit', () =>
    inVirtualTime(async () => {
      const { log, outcome } = start(endless);
      await pass(990);
      expect(log).toEqual([]);
      await pass(20);
      expect(await outcome).toMatchObject({ name: 'CallTimeout' });
      expect(log).toEqual(['expired', 'ended']);
    }));

  test('is canceled by its signal or by kill, with that reason', async () => {
    const caller = new AbortController();
    const aborted = start(endless, caller.signal);
    caller.abort(new Error('the deadline'));
    expect(await aborted.outcome).toMatchObject({ message: 'the deadline' });
    const killed = start(endless);
    for (const work of killed.running) work.kill(new Error('unavailable'));
    expect(await killed.outcome).toMatchObject({ message: 'unavailable' });
    await settled();
    expect([aborted.log, killed.log]).toEqual([
      ['aborted', 'ended'],
      ['killed', 'ended'],
    ]);
  });

  test('that ignores its cancellation is abandoned after 5 s, and its late end counts for nothing', () =>
    inVirtualTime(async () => {
      const late = Promise.withResolvers<number>();
      const { log, outcome } = start(() => late.promise);
      await pass(1010);
      expect(await outcome).toMatchObject({ name: 'CallTimeout' });
      await pass(4980);
      expect(log).toEqual(['expired']);
      await pass(20);
      expect(log).toEqual(['expired', 'abandoned']);
      late.resolve(7);
      await settled();
      expect(log).toEqual(['expired', 'abandoned']);
    }));
});
