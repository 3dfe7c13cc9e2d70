import { heapStats } from 'bun:jsc';

const OWNERS = 2000;
const NAME_BYTES = 1000;

/**
 * Calls `visit` with the names of 2,000 owners, one after another, and returns how many bytes of the heap are in use
 * then that were not before. A name has 1,000 bytes, so that 2 MB remain if each owner leaves something behind.
 */
export function bytesRetainedOfOwners(visit: (owner: string) => void): number {
  Bun.gc(true);
  const before = heapStats().heapSize;
  for (let i = 0; i < OWNERS; i++) visit(`${i}`.padStart(NAME_BYTES, 'x'));
  Bun.gc(true);
  return heapStats().heapSize - before;
}

/** More than this was retained if each owner left something behind, and less if none did. */
export const FEW_BYTES = 500_000;
