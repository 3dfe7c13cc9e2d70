/** Upper bounds of every latency histogram, in milliseconds (the promised ones; what is slower goes to `+Inf`). */
export const BUCKETS_MS = [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000] as const;

/** The index of the bucket that a duration belongs to. */
export function bucketOf(durationMs: number): number {
  let bucket = 0;
  while (bucket < BUCKETS_MS.length && durationMs > BUCKETS_MS[bucket]!) bucket++;
  return bucket;
}
