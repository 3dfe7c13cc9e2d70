import type { Registry } from 'prom-client';
import type { Cache } from '../adapters/cache/cache.ts';
import type { CacheAsideStats } from '../adapters/cache/cache-aside.ts';
import { registerStats } from './register-stats.ts';

/** A cache-aside reader, under the name that labels its metrics. */
interface ReadThrough {
  readonly name: string;
  readonly stats: CacheAsideStats;
}

/** Registers the cache metrics. The hit ratio is the share of `hit` and `negative` in all outcomes but `error`. */
export function registerCacheMetrics(
  registry: Registry,
  cache: Cache,
  readers: readonly ReadThrough[],
): void {
  registerStats(
    registry,
    'counter',
    'atlas_cache_operations_total',
    'Cache lookups by outcome; stale lookups count as misses too, and error counts failed cache calls',
    () =>
      readers.flatMap(({ name, stats }) => {
        const outcome = (outcome: string, value: number) => ({ labels: { cache: name, outcome }, value });
        return [
          outcome('hit', stats.hits),
          outcome('negative', stats.negatives),
          outcome('miss', stats.misses),
          outcome('stale', stats.stale),
          outcome('error', stats.errors),
        ];
      }),
  );
  registerStats(
    registry,
    'counter',
    'atlas_cache_loads_total',
    'Values loaded because the cache had no usable entry',
    () => readers.map(({ name, stats }) => ({ labels: { cache: name }, value: stats.loads })),
  );
  const memory = (pick: (stats: { entries: number; sizeBytes: number }) => number) => () => {
    const stats = cache.stats();
    return stats === null ? [] : [{ labels: {}, value: pick(stats) }];
  };
  registerStats(
    registry,
    'gauge',
    'atlas_cache_entries',
    'Entries in the in-memory caches; absent with Redis',
    memory(({ entries }) => entries),
  );
  registerStats(
    registry,
    'gauge',
    'atlas_cache_bytes',
    'Approximate memory of the in-memory caches',
    memory(({ sizeBytes }) => sizeBytes),
  );
}
