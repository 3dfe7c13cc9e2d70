import type { Cache } from './cache.ts';

interface Kept {
  readonly text: string;
  readonly expiresMs: number;
  readonly sizeBytes: number;
}

export interface MemoryCacheOptions {
  readonly entriesMax: number;
  readonly sizeBytesMax: number;
  /** The monotonic clock, in milliseconds. */
  readonly nowMs?: () => number;
}

// What the map and the objects around two strings take, roughly.
const ENTRY_OVERHEAD_BYTES = 128;
const CHARACTER_BYTES = 2;

/** Keeps texts in this process. What was not read for the longest time goes first when there is no room. */
export class MemoryCache implements Cache {
  readonly isShared: boolean = false;
  readonly dependency = null;
  // A map remembers the order of insertion; what is read is inserted anew, so the first one is the one to go.
  readonly #kept = new Map<string, Kept>();
  readonly #entriesMax: number;
  readonly #sizeBytesMax: number;
  readonly #nowMs: () => number;
  #sizeBytes = 0;

  constructor({ entriesMax, sizeBytesMax, nowMs = () => performance.now() }: MemoryCacheOptions) {
    this.#entriesMax = entriesMax;
    this.#sizeBytesMax = sizeBytesMax;
    this.#nowMs = nowMs;
  }

  async get(key: string): Promise<string | null> {
    const found = this.#find(key);
    if (found === undefined) return null;
    this.#kept.delete(key);
    this.#kept.set(key, found);
    return found.text;
  }

  async set(key: string, text: string, ttlMs: number): Promise<void> {
    this.#keep(key, text, ttlMs);
  }

  async replace(key: string, seen: string | null, text: string | null, ttlMs: number): Promise<boolean> {
    if ((this.#find(key)?.text ?? null) !== seen) return false;
    if (text === null) this.#remove(key);
    else this.#keep(key, text, ttlMs);
    return true;
  }

  stats() {
    return { entries: this.#kept.size, sizeBytes: this.#sizeBytes };
  }

  close(): void {
    this.#kept.clear();
    this.#sizeBytes = 0;
  }

  #find(key: string): Kept | undefined {
    const found = this.#kept.get(key);
    if (found === undefined || found.expiresMs > this.#nowMs()) return found;
    this.#remove(key);
    return undefined;
  }

  #keep(key: string, text: string, ttlMs: number): void {
    this.#remove(key);
    const sizeBytes = ENTRY_OVERHEAD_BYTES + CHARACTER_BYTES * (key.length + text.length);
    if (sizeBytes > this.#sizeBytesMax) return;
    this.#kept.set(key, { text, expiresMs: this.#nowMs() + ttlMs, sizeBytes });
    this.#sizeBytes += sizeBytes;
    while (this.#sizeBytes > this.#sizeBytesMax || this.#kept.size > this.#entriesMax)
      this.#remove(this.#kept.keys().next().value!);
  }

  #remove(key: string): void {
    this.#sizeBytes -= this.#kept.get(key)?.sizeBytes ?? 0;
    this.#kept.delete(key);
  }
}
