import type { MetricSnapshot } from './merge-metrics.ts';

/** What a worker says of itself in every heartbeat. */
export interface WorkerStatus {
  readonly pid: number;
  readonly slot: number;
  readonly incarnation: number;
  /** Requests that hold a permit, and how many may. */
  readonly inFlight: number;
  readonly limit: number;
  /** Where the limit comes from: see `PermitMode`. */
  readonly mode: string;
  /** Permits of the whole cluster, as this worker knows it. */
  readonly cap: number;
  /** What the worker allows itself by what it observes; null where it does not limit itself. */
  readonly adaptiveLimit: number | null;
  /** The level below which requests are refused; 0 refuses nobody. */
  readonly cutoff: number;
  /** Over about the last second. */
  readonly refusedPerSecond: number;
  /** The longest delay of the event loop since the last heartbeat. */
  readonly loopDelayMs: number;
  readonly rssBytes: number;
  /** The circuit breakers that are not closed, by dependency. */
  readonly breakers: Readonly<Record<string, 'open' | 'half-open'>>;
  readonly draining: boolean;
}

/** What a worker tells its supervisor. */
export type FromWorker =
  /** Everything is opened; what is missing is a share of the permits. */
  | { readonly kind: 'booted' }
  /** It listens. */
  | { readonly kind: 'ready' }
  | {
      readonly kind: 'heartbeat';
      readonly status: WorkerStatus;
      /** How many of the shares that it was told it has applied. */
      readonly sharesApplied: number;
      /** False once it has stopped listening: then what is in flight can only become less. */
      readonly accepting: boolean;
    }
  /** All its metrics, once a second and when asked (`id`). */
  | { readonly kind: 'stats'; readonly id: number | null; readonly stats: MetricSnapshot[] }
  /** Somebody asks this worker for the metrics of the cluster. */
  | { readonly kind: 'scrape'; readonly id: number }
  | { readonly kind: 'exit-reported'; readonly workerId: string }
  /** It is drained and its last metrics were sent; it ends at `leave`. */
  | { readonly kind: 'drained' };

/** What the supervisor tells a worker. */
export type FromSupervisor =
  /** Permits it may use; null: no bound but that of its lease. */
  | { readonly kind: 'share'; readonly permits: number | null }
  /** Whether it is the one that does what only one worker of the host must do. */
  | { readonly kind: 'jobs'; readonly run: boolean }
  | { readonly kind: 'drain' }
  | { readonly kind: 'leave' }
  | { readonly kind: 'collect'; readonly id: number }
  /** The metrics of the cluster as text, to whoever sent `scrape`. */
  | { readonly kind: 'scraped'; readonly id: number; readonly text: string }
  /** A worker is dead; the cluster's account must hear of it. */
  | { readonly kind: 'exited'; readonly workerId: string };

/** How often a worker tells its status. */
export const HEARTBEAT_MS = 250;
/** How often it also tells its metrics: a worker that is killed takes at most this much of its counts with it. */
export const STATS_MS = 1000;

/** What a worker process finds in its environment. */
export const WORKER_ENVIRONMENT = {
  id: 'ATLAS_WORKER_ID',
  slot: 'ATLAS_WORKER_SLOT',
  incarnation: 'ATLAS_WORKER_INCARNATION',
  workers: 'ATLAS_WORKERS',
  databaseMode: 'ATLAS_DATABASE_MODE',
} as const;
