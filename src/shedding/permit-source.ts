/**
 * Where a worker's limit comes from. `static`: a fixed share, there is no Redis. `joining`: holds nothing until the
 * others know of it. `learning`: Redis has forgotten who holds what, so nothing new is granted. `fresh`: a lease.
 * `stale`: a lease that could not be renewed and has not expired. `floor`: cut off, on the share that is always safe.
 */
export type PermitMode = 'static' | 'joining' | 'learning' | 'fresh' | 'stale' | 'floor';

/** What a worker needs, as it says in every renewal. */
export interface PermitDemand {
  /** Requests that hold a permit now. */
  readonly inFlight: number;
  /** Permits it could use now: those in flight and those it would give to callers it must refuse. */
  readonly wanted: number;
  /** The level below which this worker would refuse; 0 refuses nobody. */
  readonly cutoff: number;
  /** Requests that arrived in the last second: the weight of its cutoff in that of the cluster. */
  readonly arrivals: number;
}

/** How the permits of the cluster stand, as this worker knows it. */
export interface PermitStats {
  readonly mode: PermitMode;
  /** Permits of the whole cluster. */
  readonly cap: number;
  /** Permits this worker may use now. */
  readonly limit: number;
  /** Workers that share the cap. */
  readonly workers: number;
  /** Permits that all workers hold and use, as of the last renewal; of this worker alone where there is no Redis. */
  readonly clusterHeld: number;
  readonly clusterInFlight: number;
  /** Beats that were answered, and that failed or came too late, since the start. */
  readonly renewals: number;
  readonly renewalFailures: number;
  /** Milliseconds of all answered renewals, from sending to the answer. */
  readonly renewalMsSum: number;
  /** Commands sent to Redis for permits since the start. */
  readonly commands: number;
}

/** Says how many requests this worker may have in flight. Asked for every request, so it never waits. */
export interface PermitSource {
  /** The limit at a time of the monotonic clock, in milliseconds. */
  limitAt(nowMs: number): number;
  /** The cluster's cutoff of levels, or null where this worker knows only its own. */
  cutoffAt(nowMs: number): number | null;
  /** Tells that a request had to be refused for want of a permit. */
  runShort(): void;
  /** Names where the demand of this worker is read before each renewal. */
  observe(read: () => PermitDemand): void;
  /** What the supervisor lets this worker use when it has no lease: see `cluster`. */
  setShare(permits: number): void;
  /** Tells the others that a worker has died, so that its part of the safe share is theirs. */
  reportExit(workerId: string): Promise<void>;
  stats(): PermitStats;
  /** Gives everything back and tells the others. */
  close(): Promise<void>;
}
