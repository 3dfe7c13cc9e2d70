import { expect, test } from 'bun:test';
import { createClusterMetrics } from '../../../src/instrumentation/cluster-metrics.ts';

const worker = {
  slot: 0,
  state: 'ready',
  inFlight: 3,
  limit: 10,
  loopDelayMs: 250,
  rssBytes: 1024,
  busy: true,
};

async function scrape(read: Parameters<typeof createClusterMetrics>[0]): Promise<string[]> {
  const text = await createClusterMetrics(read).metrics();
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

test('the supervisor reports its workers by state, their restarts, and the stats of each slot', async () => {
  const lines = await scrape(() => ({ workers: [worker], restarts: { crash: 2 } }));
  expect(lines).toEqual([
    'atlas_cluster_workers{state="starting"} 0',
    'atlas_cluster_workers{state="ready"} 1',
    'atlas_cluster_workers{state="draining"} 0',
    'atlas_cluster_workers_busy 1',
    'atlas_cluster_worker_restarts_total{reason="crash"} 2',
    'atlas_cluster_worker_in_flight{slot="0"} 3',
    'atlas_cluster_worker_limit{slot="0"} 10',
    'atlas_cluster_worker_loop_delay_seconds{slot="0"} 0.25',
    'atlas_cluster_worker_resident_memory_bytes{slot="0"} 1024',
  ]);
});

test('while a worker is being replaced, its slot reports the newer one only', async () => {
  const workers = [
    { ...worker, state: 'draining' },
    { ...worker, inFlight: 1 },
  ];
  const lines = await scrape(() => ({ workers, restarts: {} }));
  expect(lines.filter((line) => line.startsWith('atlas_cluster_worker_in_flight'))).toEqual([
    'atlas_cluster_worker_in_flight{slot="0"} 1',
  ]);
});
