import { describe, expect, test } from 'bun:test';
import { untilAborted } from '../../../src/utils/until-aborted.ts';

/** A source that yields the items and then waits forever; records whether it was closed. */
function silentAfter<T>(items: readonly T[]) {
  const state = { closed: false };
  const source: AsyncIterable<T> = {
    [Symbol.asyncIterator]() {
      const left = [...items];
      return {
        next: () =>
          left.length > 0 ? Promise.resolve({ done: false, value: left.shift()! }) : new Promise(() => {}),
        return: async () => {
          state.closed = true;
          return { done: true, value: undefined };
        },
      };
    },
  };
  return { source, state };
}

describe('a source read until a signal aborts', () => {
  test('yields all items if it does not', async () => {
    const source = (async function* () {
      yield* [1, 2, 3];
    })();
    expect(await Array.fromAsync(untilAborted(source, new AbortController().signal))).toEqual([1, 2, 3]);
  });

  test('throws the reason even while silent, and is closed', async () => {
    const { source, state } = silentAfter([1]);
    const controller = new AbortController();
    const items = untilAborted(source, controller.signal);
    expect(await items.next()).toEqual({ done: false, value: 1 });
    const waiting = items.next();
    const reason = new Error('aborted');
    controller.abort(reason);
    expect(await waiting.catch((error) => error)).toBe(reason);
    expect(state.closed).toBe(true);
  });

  test('yields nothing if the signal has already aborted', async () => {
    const { source, state } = silentAfter([1]);
    const reason = new Error('too late');
    const items = untilAborted(source, AbortSignal.abort(reason));
    expect(await items.next().catch((error) => error)).toBe(reason);
    expect(state.closed).toBe(true);
  });

  test('passes on its own errors', async () => {
    const failure = new Error('broken');
    const source = (async function* () {
      yield 1;
      throw failure;
    })();
    const items = untilAborted(source, new AbortController().signal);
    await items.next();
    expect(await items.next().catch((error) => error)).toBe(failure);
  });

  test('leaves no listener on the signal', async () => {
    const { signal } = new AbortController();
    let listeners = 0;
    const [add, remove] = [signal.addEventListener, signal.removeEventListener];
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners++;
      return add.apply(signal, args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners--;
      return remove.apply(signal, args);
    };
    const { source, state } = silentAfter([1, 2, 3]);
    for await (const item of untilAborted(source, signal)) if (item === 2) break;
    expect(listeners).toBe(0);
    expect(state.closed).toBe(true);
  });
});
