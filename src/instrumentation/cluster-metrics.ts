import { Registry } from 'prom-client';
import { registerStats, type Sample } from './metrics.ts';

/** One worker, as its supervisor sees it. */
export interface WorkerStats {
  readonly slot: number;
  readonly state: string;
  readonly inFlight: number;
  readonly limit: number;
  readonly loopDelayMs: number;
  readonly rssBytes: number;
}

/** What the supervisor tells of its workers. */
export interface ClusterWorkers {
  readonly workers: readonly WorkerStats[];
  /** Workers that took the place of another, by reason. */
  readonly restarts: Readonly<Record<string, number>>;
}

const STATES = ['starting', 'ready', 'draining'];

/** The metrics of the supervisor itself. A slot is a label of bounded size: there are as many as workers. */
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
  registerStats(registry, 'counter', `${prefix}_restarts_total`, 'Workers started for another', () =>
    Object.entries(read().restarts).map(([reason, value]) => ({ labels: { reason }, value })),
  );
  const perSlot = (pick: (worker: WorkerStats) => number) => (): Sample[] => {
    // While a worker is replaced its slot has two; the newer one comes later and is the one shown.
    const bySlot = new Map(read().workers.map((worker) => [worker.slot, worker]));
    return [...bySlot.values()].map((worker) => ({ labels: { slot: worker.slot }, value: pick(worker) }));
  };
  const gauge = (name: string, help: string, pick: (worker: WorkerStats) => number) =>
    registerStats(registry, 'gauge', `${prefix}_${name}`, help, perSlot(pick));
  gauge('in_flight', 'Permits in use in a worker', ({ inFlight }) => inFlight);
  gauge('limit', 'Permits a worker may use', ({ limit }) => limit);
  gauge('loop_delay_seconds', 'Longest delay of the loop in a heartbeat', (w) => w.loopDelayMs / 1000);
  gauge('resident_memory_bytes', 'Memory of a worker', ({ rssBytes }) => rssBytes);
  return registry;
}
