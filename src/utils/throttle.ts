/** Calls `call` at most once per `everyMs`, with the number of calls suppressed since the last one. */
export function throttle<T>(
  everyMs: number,
  call: (value: T, suppressed: number) => void,
): (value: T) => void {
  let nextMs = Number.NEGATIVE_INFINITY;
  let suppressed = 0;
  return (value) => {
    const nowMs = performance.now();
    if (nowMs < nextMs) {
      suppressed++;
      return;
    }
    nextMs = nowMs + everyMs;
    call(value, suppressed);
    suppressed = 0;
  };
}
