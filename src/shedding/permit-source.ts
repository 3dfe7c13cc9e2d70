/**
 * Where a worker's limit comes from. `static`: a fixed share, without Redis. `joining`: nothing until the other workers
 * know of it. `learning`: Redis lost the leases, so nothing new is granted. `fresh`: a renewed lease. `stale`: a lease
 * that could not be renewed but has not expired. `floor`: cut off from Redis, on the share that is always safe.
 */
export type PermitMode = 'static' | 'joining' | 'learning' | 'fresh' | 'stale' | 'floor';

/** A worker's demand, sent with every renewal. */
export interface PermitDemand {
  /** Requests that hold a permit. */
  readonly inFlight: number;
  /** Permits it could use: for requests in flight and for those it has to refuse. */
  readonly wanted: number;
  /** The level below which this worker would refuse; 0 refuses nothing. */
  readonly cutoff: number;
  /** Arrivals per second: the weight of this worker in the cluster's cutoff. */
  readonly arrivals: number;
}

/** The cluster's permits, as this worker knows them. */
export interface PermitStats {
  readonly mode: PermitMode;
  /** Permits of the whole cluster. */
  readonly cap: number;
  /** Permits this worker may use. */
  readonly limit: number;
  /** Workers that share the cap. Silent ones count for a day or two: they may still use their share. */
  readonly workers: number;
  /** Workers that renewed within the last eleven seconds in which Redis was available. */
  readonly recentWorkers: number;
  /** Permits all workers hold and use, as of the last renewal; those of this worker alone without Redis. */
  readonly clusterHeld: number;
  readonly clusterInFlight: number;
  /** Renewals since the start that succeeded, and those that failed or whose reply came too late. */
  readonly renewals: number;
  readonly renewalFailures: number;
  /** Total round-trip time of successful renewals, in milliseconds. */
  readonly renewalMsSum: number;
  /** Commands sent to Redis for permits since the start. */
  readonly commands: number;
}

/** Decides how many requests this worker may have in flight. Called for every request, so it never waits. */
export interface PermitSource {
  /** The limit at a time of the monotonic clock, in milliseconds. */
  limitAt(nowMs: number): number;
  /** The cluster's cutoff level, or null if this worker knows only its own. */
  cutoffAt(nowMs: number): number | null;
  /** Reports that a request was refused for lack of a permit. */
  runShort(): void;
  /** Sets the function that reads this worker's demand before each renewal. */
  observe(read: () => PermitDemand): void;
  /** Sets the supervisor's bound on what this worker uses without a lease: see `cluster`. */
  setShare(permits: number): void;
  /** Reports that a worker has died, so that the others can divide its share of the floor. */
  reportExit(workerId: string): Promise<void>;
  stats(): PermitStats;
  /** Returns all permits and leaves the cluster. */
  close(): Promise<void>;
}
