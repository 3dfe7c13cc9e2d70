import { expect, test } from 'bun:test';
import { Registry } from 'prom-client';
import type { Cache } from '../../../src/adapters/cache/cache.ts';
import { registerCacheMetrics } from '../../../src/instrumentation/cache-metrics.ts';

const reader = {
  name: 'transfer.v1',
  stats: { hits: 5, negatives: 1, misses: 3, stale: 2, errors: 4, loads: 6 },
};

async function scrape(stats: ReturnType<Cache['stats']>): Promise<string[]> {
  const registry = new Registry();
  registerCacheMetrics(registry, { stats: () => stats } as Cache, [reader]);
  return (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

test('each cache reports its lookups by outcome, and its loads', async () => {
  const operations = (outcome: string, value: number) =>
    `atlas_cache_operations_total{cache="transfer.v1",outcome="${outcome}"} ${value}`;
  expect(await scrape({ entries: 7, sizeBytes: 800 })).toEqual([
    operations('hit', 5),
    operations('negative', 1),
    operations('miss', 3),
    operations('stale', 2),
    operations('error', 4),
    'atlas_cache_loads_total{cache="transfer.v1"} 6',
    'atlas_cache_entries 7',
    'atlas_cache_bytes 800',
  ]);
});

test('a cache outside of the process reports no entries and no memory', async () => {
  expect((await scrape(null)).filter((line) => /^atlas_cache_(?:entries|bytes)/.test(line))).toEqual([]);
});
