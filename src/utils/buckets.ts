/** Upper bounds of every latency histogram, in milliseconds. They are part of the metrics contract. */
export const BUCKETS_MS = [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000] as const;

/** Returns the index of the bucket for a duration; beyond the last bound, that of `+Inf`. */
export function bucketOf(durationMs: number): number {
  let bucket = 0;
  while (bucket < BUCKETS_MS.length && durationMs > BUCKETS_MS[bucket]!) bucket++;
  return bucket;
}
