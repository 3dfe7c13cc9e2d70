import { LeakyBuckets } from '../../utils/leaky-buckets.ts';
import type { SizedRow } from './page-of-bytes.ts';

// Building a page of 1 MiB takes the event loop about ten milliseconds, in which nobody else is served.
const BYTES_PER_MS = 4096;
const BURST_MS = 256;

/** Who reads pages of lists faster than 4 MB/s, after a first 1 MiB, in this process. */
export class PageReads {
  readonly #buckets = new LeakyBuckets(BURST_MS);

  /** Notes what a query returned, which may be a page. */
  note(name: string, rows: unknown): void {
    if (!Array.isArray(rows) || rows.length === 0) return;
    const { bytesSoFar } = rows[rows.length - 1] as Partial<SizedRow>;
    if (bytesSoFar !== undefined) this.#buckets.add(name, bytesSoFar / BYTES_PER_MS);
  }

  isFast(name: string): boolean {
    return this.#buckets.isFull(name);
  }
}
