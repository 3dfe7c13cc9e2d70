import type { Registry } from 'prom-client';
import type { Cache } from '../adapters/cache/cache.ts';
import type { CacheAsideFigures } from '../adapters/cache/cache-aside.ts';
import { registerFigures } from './metrics.ts';

/** What reads through a cache, under the name that labels its metrics. */
interface ReadThrough {
  readonly name: string;
  readonly figures: CacheAsideFigures;
}

/** What the caches do. The hit ratio is that of `hit` and `negative` among the outcomes of a look, all but `error`. */
export function registerCacheMetrics(
  registry: Registry,
  cache: Cache,
  readers: readonly ReadThrough[],
): void {
  registerFigures(
    registry,
    'counter',
    'atlas_cache_operations_total',
    'What was found in the cache; a stale one was a miss too, and an error is a call of the cache that failed',
    () =>
      readers.flatMap(({ name, figures }) => {
        const outcome = (outcome: string, value: number) => ({ labels: { cache: name, outcome }, value });
        return [
          outcome('hit', figures.hits),
          outcome('negative', figures.negatives),
          outcome('miss', figures.misses),
          outcome('stale', figures.stale),
          outcome('error', figures.errors),
        ];
      }),
  );
  registerFigures(
    registry,
    'counter',
    'atlas_cache_loads_total',
    'Values loaded because the cache had none that could be used',
    () => readers.map(({ name, figures }) => ({ labels: { cache: name }, value: figures.loads })),
  );
  const held = (pick: (figures: { entries: number; sizeBytes: number }) => number) => () => {
    const figures = cache.figures();
    return figures === null ? [] : [{ labels: {}, value: pick(figures) }];
  };
  registerFigures(
    registry,
    'gauge',
    'atlas_cache_entries',
    'Entries of the caches in memory; nothing with Redis',
    held(({ entries }) => entries),
  );
  registerFigures(
    registry,
    'gauge',
    'atlas_cache_bytes',
    'Memory that those entries take, roughly',
    held(({ sizeBytes }) => sizeBytes),
  );
}
