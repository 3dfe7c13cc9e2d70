import type { Dependency } from '../../resilience/dependency.ts';

/**
 * Stores strings for a while, and may lose any of them at any time. Calls reject when the cache is unavailable;
 * {@link import('./cache-aside.ts').CacheAside} treats that as a miss.
 */
export interface Cache {
  /** Whether all workers of all hosts share the entries. If not, a worker may have one that another has replaced. */
  readonly isShared: boolean;
  /** The dependency behind it, for health and metrics; null if it is in this process. */
  readonly dependency: Dependency | null;
  /** Returns the text under the key, or null. The signal is that of the caller. */
  get(key: string, signal?: AbortSignal): Promise<string | null>;
  /** Stores the text for `ttlMs`, and replaces any other. */
  set(key: string, text: string, ttlMs: number): Promise<void>;
  /**
   * Compare-and-set: replaces `seen` with `text` (null: no entry) and returns true. Returns false and changes nothing
   * if the entry is no longer `seen`.
   */
  replace(key: string, seen: string | null, text: string | null, ttlMs: number): Promise<boolean>;
  /** The entries in the memory of this process; null if they are elsewhere. */
  stats(): { readonly entries: number; readonly sizeBytes: number } | null;
  close(): void;
}
