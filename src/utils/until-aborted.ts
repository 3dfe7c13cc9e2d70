/**
 * Yields the items of the source until the signal aborts. Then throws the signal's reason immediately, even while the
 * source is silent, and closes the source.
 */
export async function* untilAborted<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]();
  let rejectStep: (reason: unknown) => void = () => {};
  const aborted = () => rejectStep(signal.reason);
  signal.addEventListener('abort', aborted, { once: true });
  let ended = false;
  try {
    for (;;) {
      signal.throwIfAborted();
      // One promise per step: a long-lived promise would keep a reference to everything raced against it.
      const step = await new Promise<IteratorResult<T>>((resolve, reject) => {
        rejectStep = reject;
        iterator.next().then(resolve, reject);
      });
      if (step.done) {
        ended = true;
        return;
      }
      yield step.value;
    }
  } finally {
    signal.removeEventListener('abort', aborted);
    // Not awaited: a source that is waiting for something closes only after that.
    if (!ended) iterator.return?.().catch(() => {});
  }
}
