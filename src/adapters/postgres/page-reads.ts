import type { SizedRow } from './page-of-bytes.ts';

// Building a page of 1 MiB takes the event loop about ten milliseconds, in which nobody else is served.
const BYTES_PER_MS = 4096;
const BURST_MS = 256;
const READERS_MAX = 1024;

/**
 * Who reads pages of lists faster than 4 MB/s, after a first 1 MiB, in this process (a leaky bucket per reader).
 */
export class PageReads {
  /** When what somebody has read would have been read at that rate. */
  readonly #untilMs = new Map<string, number>();

  /** Notes what a query returned, which may be a page. */
  note(name: string, rows: unknown): void {
    if (!Array.isArray(rows) || rows.length === 0) return;
    const { bytesSoFar } = rows[rows.length - 1] as Partial<SizedRow>;
    if (bytesSoFar === undefined) return;
    const nowMs = performance.now();
    if (this.#untilMs.size >= READERS_MAX) this.#forget(nowMs);
    const fromMs = Math.max(nowMs, this.#untilMs.get(name) ?? 0);
    this.#untilMs.set(name, fromMs + bytesSoFar / BYTES_PER_MS);
  }

  /** Readers that are remembered. */
  get size(): number {
    return this.#untilMs.size;
  }

  isFast(name: string): boolean {
    const untilMs = this.#untilMs.get(name);
    return untilMs !== undefined && untilMs - performance.now() > BURST_MS;
  }

  #forget(nowMs: number): void {
    for (const [name, untilMs] of this.#untilMs) if (untilMs <= nowMs) this.#untilMs.delete(name);
    if (this.#untilMs.size >= READERS_MAX) this.#untilMs.clear();
  }
}
