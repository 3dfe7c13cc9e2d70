import type { MetricSnapshot } from './merge-metrics.ts';

/** The state of a worker, sent with every heartbeat. */
export interface WorkerStatus {
  readonly pid: number;
  readonly slot: number;
  readonly incarnation: number;
  /** Requests that hold a permit, and the maximum of them. */
  readonly inFlight: number;
  readonly limit: number;
  /** Where the limit comes from: see `PermitMode`. */
  readonly mode: string;
  /** Permits of the whole cluster, as known to this worker. */
  readonly cap: number;
  /** The limit that the worker derives from its own measurements; null while it has none. */
  readonly adaptiveLimit: number | null;
  /** Requests below this level are refused; at 0 none are. */
  readonly cutoff: number;
  /** Over about the last second. */
  readonly refusedPerSecond: number;
  /** Longest delay of the event loop since the last heartbeat. */
  readonly loopDelayMs: number;
  readonly rssBytes: number;
  /** Circuit breakers that are not closed, by dependency. */
  readonly breakers: Readonly<Record<string, 'open' | 'half-open'>>;
  readonly draining: boolean;
}

/** The worker that posts the payments of all workers of the host. */
export interface Committer {
  /** The path of its socket. */
  readonly socket: string;
  /** The version of Atlas that it runs. Only workers of the same version understand it. */
  readonly version: string;
}

/** Messages from a worker to its supervisor. */
export type FromWorker =
  /** Everything is open; the worker waits for its share of the permits. */
  | { readonly kind: 'booted' }
  /** The worker listens. */
  | { readonly kind: 'ready' }
  | {
      readonly kind: 'heartbeat';
      readonly status: WorkerStatus;
      /** How many `share` messages it has applied. */
      readonly sharesApplied: number;
      /** False once it has stopped listening: from then on `inFlight` can only fall. */
      readonly accepting: boolean;
    }
  /** All its metrics: once a second with id null, and in reply to `collect`. */
  | { readonly kind: 'stats'; readonly id: number | null; readonly stats: MetricSnapshot[] }
  /** Requests the metrics of the cluster. */
  | { readonly kind: 'scrape'; readonly id: number }
  | { readonly kind: 'exit-reported'; readonly workerId: string }
  /** It runs the jobs of the host, and posts for all its workers: see {@link Committer}. */
  | { readonly kind: 'committing'; readonly committer: Committer }
  /** It has drained and sent its last metrics; it exits on `exit`. */
  | { readonly kind: 'drained' };

/** Messages from the supervisor to a worker. */
export type FromSupervisor =
  /** Permits it may use; null if only its lease limits it. */
  | { readonly kind: 'share'; readonly permits: number | null }
  /** Whether this worker runs the jobs of the host. */
  | { readonly kind: 'jobs'; readonly run: boolean }
  /** Where to send payments from now on. */
  | { readonly kind: 'committer'; readonly committer: Committer }
  | { readonly kind: 'drain' }
  | { readonly kind: 'exit' }
  | { readonly kind: 'collect'; readonly id: number }
  /** The metrics of the cluster as text, in reply to `scrape`. */
  | { readonly kind: 'scraped'; readonly id: number; readonly text: string }
  /** A worker has died; what it held in PostgreSQL and its permits in Redis must be released. */
  | { readonly kind: 'report-exit'; readonly workerId: string };

export const HEARTBEAT_MS = 250;
/** How often a worker also sends its metrics: a worker that is killed loses at most this much of its counts. */
export const STATS_MS = 1000;

/** Environment variables of a worker process. */
export const WORKER_ENVIRONMENT = {
  id: 'ATLAS_WORKER_ID',
  slot: 'ATLAS_WORKER_SLOT',
  incarnation: 'ATLAS_WORKER_INCARNATION',
  workers: 'ATLAS_WORKERS',
  databaseMode: 'ATLAS_DATABASE_MODE',
} as const;
