import type { PermitDemand } from './permit-source.ts';

/** How long the account counts a lease after receiving its renewal. */
export const TTL_MS = 900;
/** How long a worker uses a lease after sending its renewal. The rest of the TTL covers network and clock errors. */
export const VALID_MS = 700;
/** The usual interval between renewals, and the minimum: at most 20 commands per second. */
export const RENEWAL_MS = 100;
export const RENEWAL_MS_MIN = 50;
/** A renewal without a reply after this long has failed. */
export const REPLY_TIMEOUT_MS = 50;
/** After this many failures in a row, the worker drops its connection and probes Redis at this interval plus jitter. */
export const FAILURES_MAX = 3;
export const PROBE_MS = 250;
export const PROBE_JITTER_MS = 100;

/** A worker's membership: not yet known, waiting to be admitted (but counted), or a full member. */
export const STANDING = { unknown: 0, joining: 1, member: 2 } as const;
export type Standing = (typeof STANDING)[keyof typeof STANDING];

/** A renewal, sent from a worker to the account. All values are absolute, so a lost renewal needs no repair. */
export interface Renewal extends PermitDemand {
  readonly workerId: string;
  /** Numbers the renewals of one worker incarnation. */
  readonly seq: number;
  /** Permits the worker holds: the larger of its limit and what is in flight. */
  readonly claim: number;
  /** The cap in the worker's own configuration. */
  readonly cap: number;
  readonly standing: Standing;
  /** The number of workers it knows of, and the membership version it acknowledges with that. */
  readonly workers: number;
  readonly epoch: number;
  readonly version: number;
}

/** The account's reply. Counts cover the whole cluster. */
export interface RenewalReply {
  /** Permits the worker may use; it must step down if they are fewer than it claimed. */
  readonly lease: number;
  readonly standing: Standing;
  /** Whether the account recently lost its leases, so that it grants no more than is claimed. */
  readonly isLearning: boolean;
  readonly workers: number;
  readonly epoch: number;
  readonly version: number;
  /** The smallest cap configured on any live worker. */
  readonly cap: number;
  readonly held: number;
  readonly inFlight: number;
  readonly wanted: number;
  /** Whether demand exceeds the cap, so that unused permits should move quickly. */
  readonly isShort: boolean;
  readonly cutoff: number;
  /** Workers that renewed in the last 11 s. `workers` also counts those that are silent, for a day or two. */
  readonly recentWorkers: number;
}

/**
 * Storage for the account. `call` runs one command and resolves with the numbers that the script in `lease-account.lua`
 * returns. Its promise may never settle, so callers bound their own wait.
 */
export interface LeaseStore {
  call(args: readonly (string | number)[]): Promise<readonly number[]>;
  /** Sets the listener called for each new connection. */
  onReady(listener: () => void): void;
  /** Drops the connection, so that no reply can arrive on it, and opens a new one. */
  reconnect(): void;
  /** Commands sent since the start. */
  readonly commands: number;
  close(): void;
}

/** Returns the arguments of a renewal, in the order in which the script reads them. */
export function encodeRenewal(renewal: Renewal): (string | number)[] {
  return [
    'beat',
    renewal.workerId,
    renewal.seq,
    renewal.claim,
    Math.ceil(renewal.wanted),
    renewal.inFlight,
    renewal.cap,
    Math.floor(renewal.cutoff),
    Math.ceil(renewal.arrivals),
    renewal.standing,
    renewal.workers,
    renewal.epoch,
    renewal.version,
  ];
}

/** Decodes a reply; null if the account ignored the renewal because it has a newer one or the worker's exit. */
export function decodeReply(numbers: readonly number[]): RenewalReply | null {
  if (numbers[0] !== 1) return null;
  const [
    ,
    lease,
    standing,
    learning,
    workers,
    epoch,
    version,
    cap,
    held,
    inFlight,
    wanted,
    short,
    cutoff,
    recent,
  ] = numbers as [number, number, Standing, ...number[]];
  return {
    lease,
    standing,
    isLearning: learning === 1,
    workers: workers!,
    epoch: epoch!,
    version: version!,
    cap: cap!,
    held: held!,
    inFlight: inFlight!,
    wanted: wanted!,
    isShort: short === 1,
    cutoff: cutoff!,
    recentWorkers: recent!,
  };
}
