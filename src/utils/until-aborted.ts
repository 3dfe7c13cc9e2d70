/**
 * The items of the source until the signal aborts; then it throws the signal's reason at once, even while the source
 * has nothing to say, and tells the source to end.
 */
export async function* untilAborted<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]();
  let giveUp: (reason: unknown) => void = () => {};
  const aborted = () => giveUp(signal.reason);
  signal.addEventListener('abort', aborted, { once: true });
  let ended = false;
  try {
    for (;;) {
      signal.throwIfAborted();
      // One promise for each step: what is raced against one long-lived promise stays referenced by it until it
      // settles.
      const step = await new Promise<IteratorResult<T>>((resolve, reject) => {
        giveUp = reject;
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
    // Not awaited: a source that waits for something ends only when that comes.
    if (!ended) iterator.return?.().catch(() => {});
  }
}
