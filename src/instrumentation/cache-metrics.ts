import type { Registry } from 'prom-client';
import type { Cache } from '../adapters/cache/cache.ts';
import type { CacheAsideStats } from '../adapters/cache/cache-aside.ts';
import { registerStats } from './metrics.ts';

/** What reads through a cache, under the name that labels its metrics. */
interface ReadThrough {
  readonly name: string;
  readonly stats: CacheAsideStats;
}

/** What the caches do. The hit ratio is that of `hit` and `negative` among the outcomes of a look, all but `error`. */
export function registerCacheMetrics(
  registry: Registry,
  cache: Cache,
  readers: readonly ReadThrough[],
): void {
  registerStats(
    registry,
    'counter',
    'atlas_cache_operations_total',
    'What was found in the cache; a stale one was a miss too, and an error is a call of the cache that failed',
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
    'Values loaded because the cache had none that could be used',
    () => readers.map(({ name, stats }) => ({ labels: { cache: name }, value: stats.loads })),
  );
  const held = (pick: (stats: { entries: number; sizeBytes: number }) => number) => () => {
    const stats = cache.stats();
    return stats === null ? [] : [{ labels: {}, value: pick(stats) }];
  };
  registerStats(
    registry,
    'gauge',
    'atlas_cache_entries',
    'Entries of the caches in memory; nothing with Redis',
    held(({ entries }) => entries),
  );
  registerStats(
    registry,
    'gauge',
    'atlas_cache_bytes',
    'Memory that those entries take, roughly',
    held(({ sizeBytes }) => sizeBytes),
  );
}
