/**
 * A stream of what `read` yields, one item for each that is asked for. Its signal aborts with the given one, and when
 * the stream is cancelled. `release` is called once, when nothing is read any more.
 */
export function objectStream(
  read: (signal: AbortSignal) => AsyncGenerator<Uint8Array>,
  signal: AbortSignal,
  release: () => Promise<void> = async () => {},
): ReadableStream<Uint8Array> {
  const ending = new AbortController();
  const chunks = read(ending.signal);
  let fail: (reason: unknown) => void = () => {};
  const aborted = () => {
    fail(signal.reason);
    end(signal.reason);
  };
  const end = (reason: unknown) => {
    signal.removeEventListener('abort', aborted);
    if (ending.signal.aborted) return;
    ending.abort(reason);
    // Waits for what is being read. A generator that was never begun runs no `finally`, so this is not left to it.
    chunks
      .return(undefined)
      .catch(() => {})
      .then(release)
      .catch(() => {});
  };
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        fail = (reason) => controller.error(reason);
        if (signal.aborted) aborted();
        else signal.addEventListener('abort', aborted, { once: true });
      },
      async pull(controller) {
        try {
          const { done, value } = await chunks.next();
          if (ending.signal.aborted) return;
          if (!done) return controller.enqueue(value);
          end(null);
          controller.close();
        } catch (error) {
          end(error);
          throw error;
        }
      },
      cancel: end,
    },
    { highWaterMark: 0 },
  );
}
