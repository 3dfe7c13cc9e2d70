import { describe, expect, test } from 'bun:test';
import { untilAborted } from '../../../src/utils/until-aborted.ts';

/** A source that yields the items and then waits for ever; tells whether it was ended. */
function silentAfter<T>(items: readonly T[]) {
  const state = { ended: false };
  const source: AsyncIterable<T> = {
    [Symbol.asyncIterator]() {
      const left = [...items];
      return {
        next: () =>
          left.length > 0 ? Promise.resolve({ done: false, value: left.shift()! }) : new Promise(() => {}),
        return: async () => {
          state.ended = true;
          return { done: true, value: undefined };
        },
      };
    },
  };
  return { source, state };
}

describe('what is read until a signal aborts', () => {
  test('is all of the source when it does not', async () => {
    const source = (async function* () {
      yield* [1, 2, 3];
    })();
    expect(await Array.fromAsync(untilAborted(source, new AbortController().signal))).toEqual([1, 2, 3]);
  });

  test('ends with the reason while the source is silent, and ends the source', async () => {
    const { source, state } = silentAfter([1]);
    const controller = new AbortController();
    const items = untilAborted(source, controller.signal);
    expect(await items.next()).toEqual({ done: false, value: 1 });
    const waiting = items.next();
    const reason = new Error('enough');
    controller.abort(reason);
    expect(await waiting.catch((error) => error)).toBe(reason);
    expect(state.ended).toBe(true);
  });

  test('is nothing when the signal had aborted before', async () => {
    const { source, state } = silentAfter([1]);
    const reason = new Error('too late');
    const items = untilAborted(source, AbortSignal.abort(reason));
    expect(await items.next().catch((error) => error)).toBe(reason);
    expect(state.ended).toBe(true);
  });

  test('throws what the source throws', async () => {
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
    expect(state.ended).toBe(true);
  });
});
