import { expect, jest, test } from 'bun:test';
import { getEventListeners } from 'node:events';
import { sleep } from '../../../src/utils/sleep.ts';
import { inVirtualTime, pass, settled } from '../../support/virtual-time.ts';

/** Whether a sleep has ended. */
function watch(sleeping: Promise<void>) {
  const state = { isOver: false };
  void sleeping.then(() => {
    state.isOver = true;
  });
  return state;
}

test('it ends after its time, and leaves no listener', () =>
  inVirtualTime(async () => {
    const { signal } = new AbortController();
    const state = watch(sleep(100, signal));
    await pass(90);
    expect(state.isOver).toBe(false);
    await pass(10);
    expect(state.isOver).toBe(true);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  }));

test('it ends when the signal aborts, and leaves no timer', () =>
  inVirtualTime(async () => {
    const timers = jest.getTimerCount();
    const caller = new AbortController();
    const state = watch(sleep(60_000, caller.signal));
    caller.abort();
    await settled();
    expect(state.isOver).toBe(true);
    expect(jest.getTimerCount()).toBe(timers);
    await sleep(60_000, caller.signal);
  }));
