/**
 * Returns a stream of what `read` yields, one item per pull. The signal that `read` gets aborts with the given one, and
 * when the stream is canceled. `release` is called once, after the last read.
 */
export function objectStream(
  read: (signal: AbortSignal) => AsyncGenerator<Uint8Array>,
  signal: AbortSignal,
  release: () => Promise<void> = async () => {},
): ReadableStream<Uint8Array> {
  const ending = new AbortController();
  const chunks = read(ending.signal);
  let fail: (reason: unknown) => void = () => {};
  const onAbort = () => {
    fail(signal.reason);
    end(signal.reason);
  };
  const end = (reason: unknown) => {
    signal.removeEventListener('abort', onAbort);
    if (ending.signal.aborted) return;
    ending.abort(reason);
    // Waits for the read in progress. `release` is not left to the generator: one that never started runs no `finally`.
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
        if (signal.aborted) onAbort();
        else signal.addEventListener('abort', onAbort, { once: true });
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
