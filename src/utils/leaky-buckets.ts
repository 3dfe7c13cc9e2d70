const NAMES_MAX = 1024;

/**
 * A leaky bucket for each of many names, in this process: what is added drains in real time. Names whose bucket is
 * empty are forgotten, and all of them if there are too many.
 */
export class LeakyBuckets {
  readonly #capacityMs: number;
  /** When the bucket of a name is empty. */
  readonly #emptyAtMs = new Map<string, number>();

  /** A bucket is full while it takes longer than this to drain. */
  constructor(capacityMs: number) {
    this.#capacityMs = capacityMs;
  }

  /** Adds what takes so long to drain. */
  add(name: string, costMs: number): void {
    const nowMs = performance.now();
    if (this.#emptyAtMs.size >= NAMES_MAX) this.#forget(nowMs);
    this.#emptyAtMs.set(name, Math.max(nowMs, this.#emptyAtMs.get(name) ?? 0) + costMs);
  }

  isFull(name: string): boolean {
    const emptyAtMs = this.#emptyAtMs.get(name);
    return emptyAtMs !== undefined && emptyAtMs - performance.now() > this.#capacityMs;
  }

  /** Names that are remembered. */
  get size(): number {
    return this.#emptyAtMs.size;
  }

  #forget(nowMs: number): void {
    for (const [name, emptyAtMs] of this.#emptyAtMs) if (emptyAtMs <= nowMs) this.#emptyAtMs.delete(name);
    if (this.#emptyAtMs.size >= NAMES_MAX) this.#emptyAtMs.clear();
  }
}
