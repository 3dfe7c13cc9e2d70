import {
  FAILURES_MAX,
  PROBE_JITTER_MS,
  PROBE_MS,
  RENEWAL_MS,
  RENEWAL_MS_MIN,
  type Renewal,
  type RenewalReply,
  STANDING,
  type Standing,
  TTL_MS,
  VALID_MS,
} from './lease-protocol.ts';
import type { PermitDemand, PermitMode } from './permit-source.ts';

/** How a worker takes part in sharing the cap. */
export interface LeaseHolderOptions {
  /** Never used twice: each life of a worker has its own. */
  readonly workerId: string;
  readonly cap: number;
  /** Workers to divide the cap by while Redis has never been heard. */
  readonly fallbackWorkers: number;
  /** Wait before a worker that is cut off goes up to the floor: the longest request and one TTL, at least. */
  readonly riseAfterMs: number;
  readonly startMs: number;
  /** A number in [0, 1) that spreads the probes of many workers. */
  readonly random: () => number;
}

/** An outstanding renewal. */
interface Outstanding {
  readonly seq: number;
  readonly sentMs: number;
}

/**
 * One life of a worker in the lease protocol: what it may have in flight and what it says to the account. It has no
 * timer and does no I/O; times are milliseconds of a monotonic clock and are given to it, so that the simulation runs
 * this very code. Leases after Gray and Cheriton (1989); sharing a capacity by leases after Doorman.
 */
export class LeaseHolder {
  readonly #options: LeaseHolderOptions;
  #share = Number.POSITIVE_INFINITY;
  // What limitAt answers until the given time; then the ladder is looked at again.
  #limit = 0;
  #limitUntilMs = 0;
  #lease = 0;
  #validUntilMs = Number.NEGATIVE_INFINITY;
  #lastSentMs = Number.NEGATIVE_INFINITY;
  #answeredSentMs: number;
  #seq = 0;
  #outstanding: Outstanding | null = null;
  #standing: Standing = STANDING.unknown;
  #reply: RenewalReply | null = null;
  #failuresInRow = 0;
  #probeAtMs = 0;
  #isUrgent = true;
  #isLeaving = false;

  constructor(options: LeaseHolderOptions) {
    this.#options = options;
    this.#answeredSentMs = options.startMs;
  }

  /** Permits that this worker may have in flight. Right even when the process stood still and no timer has run. */
  limitAt(nowMs: number): number {
    if (nowMs >= this.#limitUntilMs) this.#stepDown(nowMs);
    return this.#limit;
  }

  modeAt(nowMs: number): PermitMode {
    if (nowMs >= this.#validUntilMs) {
      return this.#standing !== STANDING.member && nowMs < this.#aloneAtMs ? 'joining' : 'floor';
    }
    if (this.#standing === STANDING.joining) return 'joining';
    if (nowMs - this.#answeredSentMs >= 2 * RENEWAL_MS) return 'stale';
    return this.#reply!.isLearning ? 'learning' : 'fresh';
  }

  /** What the account answered last, or null before it first did. */
  get reply(): RenewalReply | null {
    return this.#reply;
  }

  /** The cluster's cutoff, or null where this worker has no lease. */
  cutoffAt(nowMs: number): number | null {
    return nowMs < this.#validUntilMs ? this.#reply!.cutoff : null;
  }

  /** Beats as soon as the pace allows, because a request had to be refused. */
  runShort(): void {
    this.#isUrgent = true;
  }

  /** Beats as soon as the pace allows, because there is a new connection. */
  reconnected(): void {
    this.#probeAtMs = 0;
    this.#isUrgent = true;
  }

  /** Whether the answer to this renewal would count. */
  isOutstanding(seq: number): boolean {
    return this.#outstanding?.seq === seq;
  }

  /** Whether the last renewal that ended was answered. */
  get isHeard(): boolean {
    return this.#reply !== null && this.#failuresInRow === 0;
  }

  /** Bounds what this worker uses when it has no lease. */
  setShare(permits: number, nowMs: number): void {
    this.#share = permits;
    this.#stepDown(nowMs);
  }

  /** Gives everything back that is not in flight, and takes nothing any more. */
  leave(): void {
    this.#isLeaving = true;
    this.#isUrgent = true;
    this.#lease = 0;
    this.#limit = 0;
  }

  /** When the next renewal is due; infinite while one is outstanding. */
  dueAtMs(): number {
    if (this.#outstanding !== null) return Number.POSITIVE_INFINITY;
    if (this.#failuresInRow >= FAILURES_MAX)
      return Math.max(this.#probeAtMs, this.#lastSentMs + RENEWAL_MS_MIN);
    return this.#lastSentMs + (this.#isUrgent || this.#reply?.isShort ? RENEWAL_MS_MIN : RENEWAL_MS);
  }

  /** The renewal to send now, or null while one is outstanding or none is due. */
  nextRenewal(nowMs: number, demand: PermitDemand): Renewal | null {
    if (nowMs < this.dueAtMs()) return null;
    const { workerId, cap } = this.#options;
    let limit = this.limitAt(nowMs);
    if (this.#reply?.isShort && nowMs < this.#validUntilMs) {
      // Given up before it is told: from here on this worker has no more than it says.
      limit = this.#lower(Math.max(demand.inFlight, Math.ceil(demand.wanted)));
    }
    this.#outstanding = { seq: ++this.#seq, sentMs: nowMs };
    this.#lastSentMs = nowMs;
    this.#isUrgent = false;
    return {
      ...demand,
      workerId,
      seq: this.#seq,
      claim: Math.max(limit, demand.inFlight),
      cap,
      standing: this.#standing,
      workers: this.#reply?.workers ?? 0,
      epoch: this.#reply?.epoch ?? 0,
      version: this.#reply?.version ?? 0,
    };
  }

  /**
   * Takes the reply to a renewal, null where the account ignored it. Only the reply to the latest renewal counts, and
   * only while its lease is still valid: a late one would revive permits that were given back. Returns whether it
   * counted; where it did not, the renewal has failed.
   */
  answered(seq: number, reply: RenewalReply | null, nowMs: number): boolean {
    const sent = this.#outstanding;
    if (sent?.seq !== seq || reply === null || nowMs >= sent.sentMs + VALID_MS) return false;
    this.#outstanding = null;
    this.#failuresInRow = 0;
    this.#reply = reply;
    this.#standing = reply.standing;
    const before = this.limitAt(nowMs);
    this.#lease = this.#isLeaving ? 0 : Math.min(reply.lease, this.#options.cap);
    this.#answeredSentMs = sent.sentMs;
    this.#validUntilMs = sent.sentMs + VALID_MS;
    this.#limit = this.#lease;
    this.#limitUntilMs = this.#validUntilMs;
    // What was just given up can only move to others when the account hears of it.
    if (this.#lease < before || reply.standing === STANDING.joining) this.#isUrgent = true;
    return true;
  }

  /** Gives up on a renewal. Tells whether the connection should be dropped, because it has failed too often. */
  failed(seq: number, nowMs: number): boolean {
    if (this.#outstanding?.seq !== seq) return false;
    this.#outstanding = null;
    this.#failuresInRow++;
    this.#stepDown(nowMs);
    if (this.#failuresInRow < FAILURES_MAX) return false;
    this.#probeAtMs = this.#lastSentMs + PROBE_MS + PROBE_JITTER_MS * this.#options.random();
    return true;
  }

  #lower(to: number): number {
    this.#lease = Math.min(this.#lease, to);
    this.#limit = Math.min(this.#limit, to);
    return this.#limit;
  }

  /** When a worker that was never admitted has waited long enough to believe that nobody will admit it. */
  get #aloneAtMs(): number {
    return this.#answeredSentMs + TTL_MS;
  }

  /** Finds the rung of the ladder: the lease, then the floor downwards, later upwards too. */
  #stepDown(nowMs: number): void {
    if (this.#isLeaving) {
      this.#limit = 0;
      this.#limitUntilMs = Number.POSITIVE_INFINITY;
    } else if (nowMs < this.#validUntilMs) {
      this.#limit = this.#lease;
      this.#limitUntilMs = this.#validUntilMs;
    } else {
      const isMember = this.#standing === STANDING.member;
      const riseAtMs = isMember ? this.#validUntilMs + this.#options.riseAfterMs : this.#aloneAtMs;
      const floor = this.#floor(isMember);
      const limit = nowMs < riseAtMs ? Math.min(this.#lease, floor) : floor;
      // A worker never holds more than it says in the renewal that is outstanding; it looks again when that has ended.
      this.#limit = this.#outstanding === null ? limit : Math.min(this.#limit, limit);
      this.#limitUntilMs = nowMs < riseAtMs ? riseAtMs : Number.POSITIVE_INFINITY;
    }
  }

  /** What is safe without a lease as long as no more workers than this one knows of do the same. */
  #floor(isMember: boolean): number {
    const { cap, fallbackWorkers } = this.#options;
    const known = this.#reply?.workers ?? 0;
    const workers = isMember ? known : Math.max(known, fallbackWorkers);
    return Math.min(this.#share, Math.floor(Math.min(cap, this.#reply?.cap ?? cap) / workers));
  }
}
