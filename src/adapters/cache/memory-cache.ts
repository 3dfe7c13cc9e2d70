import type { Cache } from './cache.ts';

interface StoredText {
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

// Approximate memory of the map entry and the objects around its two strings.
const ENTRY_OVERHEAD_BYTES = 128;
const CHARACTER_BYTES = 2;

/** Stores strings in this process, and evicts the least recently used ones when it is full. */
export class MemoryCache implements Cache {
  readonly isShared: boolean = false;
  readonly dependency = null;
  // A map iterates in insertion order. A read inserts its entry again, so the first one is the least recently used.
  readonly #entries = new Map<string, StoredText>();
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
    this.#entries.delete(key);
    this.#entries.set(key, found);
    return found.text;
  }

  async set(key: string, text: string, ttlMs: number): Promise<void> {
    this.#store(key, text, ttlMs);
  }

  async replace(key: string, seen: string | null, text: string | null, ttlMs: number): Promise<boolean> {
    if ((this.#find(key)?.text ?? null) !== seen) return false;
    if (text === null) this.#remove(key);
    else this.#store(key, text, ttlMs);
    return true;
  }

  stats() {
    return { entries: this.#entries.size, sizeBytes: this.#sizeBytes };
  }

  close(): void {
    this.#entries.clear();
    this.#sizeBytes = 0;
  }

  #find(key: string): StoredText | undefined {
    const found = this.#entries.get(key);
    if (found === undefined || found.expiresMs > this.#nowMs()) return found;
    this.#remove(key);
    return undefined;
  }

  #store(key: string, text: string, ttlMs: number): void {
    this.#remove(key);
    const sizeBytes = ENTRY_OVERHEAD_BYTES + CHARACTER_BYTES * (key.length + text.length);
    if (sizeBytes > this.#sizeBytesMax) return;
    this.#entries.set(key, { text, expiresMs: this.#nowMs() + ttlMs, sizeBytes });
    this.#sizeBytes += sizeBytes;
    while (this.#sizeBytes > this.#sizeBytesMax || this.#entries.size > this.#entriesMax)
      this.#remove(this.#entries.keys().next().value!);
  }

  #remove(key: string): void {
    this.#sizeBytes -= this.#entries.get(key)?.sizeBytes ?? 0;
    this.#entries.delete(key);
  }
}
