/** Lets a call through at most once in `everyMs`, and tells it how many were left out since the last one. */
export function throttle<T>(everyMs: number, call: (value: T, leftOut: number) => void): (value: T) => void {
  let nextMs = Number.NEGATIVE_INFINITY;
  let leftOut = 0;
  return (value) => {
    const nowMs = performance.now();
    if (nowMs < nextMs) {
      leftOut++;
      return;
    }
    nextMs = nowMs + everyMs;
    call(value, leftOut);
    leftOut = 0;
  };
}
