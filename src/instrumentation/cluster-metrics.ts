import { Registry } from 'prom-client';
import { registerStats, type Sample } from './register-stats.ts';

/** The stats of one worker, as its supervisor sees it. */
export interface WorkerStats {
  readonly slot: number;
  readonly state: string;
  readonly inFlight: number;
  readonly limit: number;
  readonly loopDelayMs: number;
  readonly rssBytes: number;
  /** Whether it sends no heartbeats because it computes. */
  readonly busy: boolean;
}

/** What the supervisor reports about its workers. */
export interface ClusterWorkers {
  readonly workers: readonly WorkerStats[];
  /** Workers started to replace another, by reason. */
  readonly restarts: Readonly<Record<string, number>>;
}

const STATES = ['starting', 'ready', 'draining'];

/** Creates the registry of the supervisor. The `slot` label is bounded: there is one slot per worker. */
export function createClusterMetrics(read: () => ClusterWorkers): Registry {
  const registry = new Registry();
  const prefix = 'atlas_cluster_worker';
  registerStats(registry, 'gauge', `${prefix}s`, 'Worker processes by state', () => {
    const { workers } = read();
    return STATES.map((state) => ({
      labels: { state },
      value: workers.filter((worker) => worker.state === state).length,
    }));
  });
  registerStats(registry, 'gauge', `${prefix}s_busy`, 'Workers that compute and send no heartbeats', () => [
    { labels: {}, value: read().workers.filter(({ busy }) => busy).length },
  ]);
  registerStats(registry, 'counter', `${prefix}_restarts_total`, 'Workers started to replace another', () =>
    Object.entries(read().restarts).map(([reason, value]) => ({ labels: { reason }, value })),
  );
  const perSlot = (pick: (worker: WorkerStats) => number) => (): Sample[] => {
    // While a worker is being replaced, its slot has two; the later entry is the newer one and wins.
    const bySlot = new Map(read().workers.map((worker) => [worker.slot, worker]));
    return [...bySlot.values()].map((worker) => ({ labels: { slot: worker.slot }, value: pick(worker) }));
  };
  const gauge = (name: string, help: string, pick: (worker: WorkerStats) => number) =>
    registerStats(registry, 'gauge', `${prefix}_${name}`, help, perSlot(pick));
  gauge('in_flight', 'Permits in use by a worker', ({ inFlight }) => inFlight);
  gauge('limit', 'Permits a worker may use', ({ limit }) => limit);
  gauge('loop_delay_seconds', 'Longest event loop delay per heartbeat interval', (w) => w.loopDelayMs / 1000);
  gauge('resident_memory_bytes', 'Resident memory of a worker', ({ rssBytes }) => rssBytes);
  return registry;
}
