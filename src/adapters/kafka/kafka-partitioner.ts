const SEED = 0x9747b28c | 0;
const M = 0x5bd1e995 | 0;
const R = 24;

/**
 * Returns the partition of a key: murmur2 of its bytes, like Kafka's own clients, so that all producers agree. The
 * library computes it with 64-bit integers, which takes as long as the rest of encoding a message.
 */
export function partitionOf(key: string, partitions: number): number {
  const bytes = Buffer.from(key);
  const { length } = bytes;
  let h = SEED ^ length;
  let at = 0;
  for (; at + 4 <= length; at += 4) {
    let k = Math.imul(bytes.readInt32LE(at), M);
    k ^= k >>> R;
    h = Math.imul(h, M) ^ Math.imul(k, M);
  }
  if (length - at === 3) h ^= bytes[at + 2]! << 16;
  if (length - at >= 2) h ^= bytes[at + 1]! << 8;
  if (length - at >= 1) h = Math.imul(h ^ bytes[at]!, M);
  h = Math.imul(h ^ (h >>> 13), M);
  h ^= h >>> 15;
  return (h & 0x7fffffff) % partitions;
}
