import type { Dependency } from '../../resilience/dependency.ts';

/**
 * Keeps texts for a while, and may lose any of them at any time. Calls reject when the cache cannot be used; who reads
 * through a cache treats that like a text that is not there ({@link import('./cache-aside.ts').CacheAside}).
 */
export interface Cache {
  /** Whether all workers of all hosts see the same texts. What one writes over, another one would still have. */
  readonly isShared: boolean;
  /** What it is kept in, for health and metrics; null where that is this process. */
  readonly dependency: Dependency | null;
  /** The text under the key, or null. The signal is that of the caller. */
  get(key: string, signal?: AbortSignal): Promise<string | null>;
  /** Keeps the text for `ttlMs`, whatever was there. */
  set(key: string, text: string, ttlMs: number): Promise<void>;
  /**
   * Puts `text` (null: nothing) in the place of what the caller has seen there (null: nothing), and answers whether it
   * did. Where somebody else has written since, it leaves that alone.
   */
  replace(key: string, seen: string | null, text: string | null, ttlMs: number): Promise<boolean>;
  /** What this process holds; null where it is kept elsewhere. */
  stats(): { readonly entries: number; readonly sizeBytes: number } | null;
  close(): void;
}
