import type { PermitDemand } from './permit-source.ts';

/** How long the account counts a lease after the renewal that renewed it came in. */
export const TTL_MS = 900;
/** How long a worker uses a lease after it sent that renewal; the rest of the TTL is for networks and clocks. */
export const VALID_MS = 700;
/** A renewal in quiet times, and the least time between two: at most 20 commands per second. */
export const RENEWAL_MS = 100;
export const RENEWAL_MS_MIN = 50;
/** An answer that takes longer does not count any more. */
export const REPLY_TIMEOUT_MS = 50;
/** After so many failures in a row the connection is dropped, and Redis is probed at this pace, jitter added. */
export const FAILURES_MAX = 3;
export const PROBE_MS = 250;
export const PROBE_JITTER_MS = 100;

/** What the account knows of a worker: nothing, that it waits to be admitted (but counts), or that it takes part. */
export const STANDING = { unknown: 0, joining: 1, member: 2 } as const;
export type Standing = (typeof STANDING)[keyof typeof STANDING];

/** What a worker tells the account. All stats are absolute, so a renewal that is lost needs no repair. */
export interface Renewal extends PermitDemand {
  readonly workerId: string;
  /** Counts the renewals of one life of a worker. */
  readonly seq: number;
  /** Permits that it holds: its limit, or what is in flight where that is more. */
  readonly claim: number;
  /** The cap of its own configuration. */
  readonly cap: number;
  readonly standing: Standing;
  /** The number of workers as it knows it, and the membership that it heard that from: this acknowledges it. */
  readonly workers: number;
  readonly epoch: number;
  readonly version: number;
}

/** What the account answers. Counts are of the whole cluster. */
export interface RenewalReply {
  /** Permits that the worker may use; fewer than it claimed tell it to go down. */
  readonly lease: number;
  readonly standing: Standing;
  /** Whether the account has lately forgotten who holds what, so that it grants nothing but what is claimed. */
  readonly isLearning: boolean;
  readonly workers: number;
  readonly epoch: number;
  readonly version: number;
  /** The smallest cap that a live worker has configured. */
  readonly cap: number;
  readonly held: number;
  readonly inFlight: number;
  readonly wanted: number;
  /** Whether more is wanted than there is, so that unused permits should move fast. */
  readonly isShort: boolean;
  readonly cutoff: number;
}

/**
 * A place that keeps the account: runs one command on it. Answers the numbers of the script in `lease-account.lua`, or
 * rejects; its promise may stay open for ever, so callers bound their own waiting.
 */
export interface LeaseStore {
  call(args: readonly (string | number)[]): Promise<readonly number[]>;
  /** Names who is told of each new connection. */
  onReady(listener: () => void): void;
  /** Drops the connection, so that what was sent on it cannot be answered any more, and opens a new one. */
  reconnect(): void;
  /** Commands sent since the start. */
  readonly commands: number;
  close(): void;
}

/** The arguments of a renewal, in the order in which the script reads them. */
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

/** The account's answer, or null where it ignored the renewal, because it has seen a newer one or the worker's exit. */
export function decodeReply(numbers: readonly number[]): RenewalReply | null {
  if (numbers[0] !== 1) return null;
  const [, lease, standing, learning, workers, epoch, version, cap, held, inFlight, wanted, short, cutoff] =
    numbers as [number, number, Standing, ...number[]];
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
  };
}
