const GRPC_UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 0.001,
  n: 0.000001,
};
const GRPC_TIMEOUT = /^(\d{1,8})([HMSmun])$/;
const MILLISECONDS = /^\d{1,9}$/;

/**
 * Returns how many milliseconds the caller will wait, or Infinity. Only relative timeouts are honored, because the
 * clocks of two hosts never agree.
 */
export function callerTimeoutMs(headers: Headers): number {
  const grpc = headers.get('grpc-timeout');
  const envoy = headers.get('x-envoy-expected-rq-timeout-ms');
  let timeoutMs = Number.POSITIVE_INFINITY;
  if (grpc !== null) {
    const parts = GRPC_TIMEOUT.exec(grpc);
    if (parts) timeoutMs = Number(parts[1]) * GRPC_UNIT_MS[parts[2]!]!;
  }
  if (envoy !== null && MILLISECONDS.test(envoy) && envoy !== '0')
    timeoutMs = Math.min(timeoutMs, Number(envoy));
  return timeoutMs;
}
