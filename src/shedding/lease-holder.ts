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

/** Settings of a lease holder. */
export interface LeaseHolderOptions {
  /** Unique per worker incarnation, across all hosts. */
  readonly workerId: string;
  /** Permits of the whole cluster. */
  readonly cap: number;
  /** The configured number of workers, which divides the cap until the account has replied for the first time. */
  readonly fallbackWorkers: number;
  /**
   * How long a worker that is cut off waits before rising to the floor: at least the longest request plus one TTL.
   * Atlas sets HTTP_TIMEOUT + DATABASE_TIMEOUT.
   */
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
 * One worker incarnation in the lease protocol: what it may have in flight, and what it sends to the account. It has no
 * timer and does no I/O. Callers pass in the time, in milliseconds of a monotonic clock, so the simulation runs this
 * same code. Leases follow Gray and Cheriton (1989); sharing capacity by leases follows Doorman.
 */
export class LeaseHolder {
  readonly #options: LeaseHolderOptions;
  #share = Number.POSITIVE_INFINITY;
  // What limitAt returns until the given time; after that, the limit is computed again.
  #limit = 0;
  #limitUntilMs = 0;
  #lease = 0;
  #validUntilMs = Number.NEGATIVE_INFINITY;
  #lastSentMs = Number.NEGATIVE_INFINITY;
  #repliedSentMs: number;
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
    this.#repliedSentMs = options.startMs;
  }

  /** Permits this worker may have in flight. Correct even after the process was paused and no timer has run. */
  limitAt(nowMs: number): number {
    if (nowMs >= this.#limitUntilMs) this.#updateLimit(nowMs);
    return this.#limit;
  }

  modeAt(nowMs: number): PermitMode {
    if (nowMs >= this.#validUntilMs) {
      return this.#standing !== STANDING.member && nowMs < this.#aloneAtMs ? 'joining' : 'floor';
    }
    if (this.#standing === STANDING.joining) return 'joining';
    if (nowMs - this.#repliedSentMs >= 2 * RENEWAL_MS) return 'stale';
    return this.#reply!.isLearning ? 'learning' : 'fresh';
  }

  /** The last reply, or null before the first. */
  get reply(): RenewalReply | null {
    return this.#reply;
  }

  /** The cluster's cutoff, or null if this worker has no lease. */
  cutoffAt(nowMs: number): number | null {
    return nowMs < this.#validUntilMs ? this.#reply!.cutoff : null;
  }

  /** Makes the next renewal due at the minimum interval, because a request was refused. */
  runShort(): void {
    this.#isUrgent = true;
  }

  /** Makes the next renewal due at the minimum interval, because there is a new connection. */
  reconnected(): void {
    this.#probeAtMs = 0;
    this.#isUrgent = true;
  }

  /** Whether a reply to this renewal would still count. */
  isOutstanding(seq: number): boolean {
    return this.#outstanding?.seq === seq;
  }

  /** Whether the last completed renewal got a reply. */
  get isAccountReachable(): boolean {
    return this.#reply !== null && this.#failuresInRow === 0;
  }

  /** Bounds what this worker uses without a lease. */
  setShare(permits: number, nowMs: number): void {
    this.#share = permits;
    this.#updateLimit(nowMs);
  }

  /** Returns all permits that are not in flight, and takes no more. */
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
      // Lower the limit before reporting it: from here on, this worker holds no more than it claims.
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
   * Applies the reply to a renewal; null if the account ignored it. Only the reply to the latest renewal counts, and
   * only while its lease is valid: a late one would revive permits that were returned. Returns whether it counted; if
   * not, the renewal has failed.
   */
  acceptReply(seq: number, reply: RenewalReply | null, nowMs: number): boolean {
    const sent = this.#outstanding;
    if (sent?.seq !== seq || reply === null || nowMs >= sent.sentMs + VALID_MS) return false;
    this.#outstanding = null;
    this.#failuresInRow = 0;
    this.#reply = reply;
    this.#standing = reply.standing;
    const before = this.limitAt(nowMs);
    this.#lease = this.#isLeaving ? 0 : Math.min(reply.lease, this.#options.cap);
    this.#repliedSentMs = sent.sentMs;
    this.#validUntilMs = sent.sentMs + VALID_MS;
    this.#limit = this.#lease;
    this.#limitUntilMs = this.#validUntilMs;
    // Permits that were just given up can move to other workers only once the account knows.
    if (this.#lease < before || reply.standing === STANDING.joining) this.#isUrgent = true;
    return true;
  }

  /** Records that a renewal failed. Returns whether it failed so often that the connection should be dropped. */
  failRenewal(seq: number, nowMs: number): boolean {
    if (this.#outstanding?.seq !== seq) return false;
    this.#outstanding = null;
    this.#failuresInRow++;
    this.#updateLimit(nowMs);
    if (this.#failuresInRow < FAILURES_MAX) return false;
    this.#probeAtMs = this.#lastSentMs + PROBE_MS + PROBE_JITTER_MS * this.#options.random();
    return true;
  }

  #lower(to: number): number {
    this.#lease = Math.min(this.#lease, to);
    this.#limit = Math.min(this.#limit, to);
    return this.#limit;
  }

  /** When a worker that was never admitted stops waiting for the account and goes to the floor. */
  get #aloneAtMs(): number {
    return this.#repliedSentMs + TTL_MS;
  }

  /** Applies the lease while it is valid, after that at most the floor, and later the floor in full. */
  #updateLimit(nowMs: number): void {
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
      // Never hold more than the outstanding renewal claims; the limit is updated when that completes.
      this.#limit = this.#outstanding === null ? limit : Math.min(this.#limit, limit);
      this.#limitUntilMs = nowMs < riseAtMs ? riseAtMs : Number.POSITIVE_INFINITY;
    }
  }

  /** The share that is safe without a lease, as long as no more workers exist than this one knows of. */
  #floor(isMember: boolean): number {
    const { cap, fallbackWorkers } = this.#options;
    const known = this.#reply?.workers ?? 0;
    const workers = isMember ? known : Math.max(known, fallbackWorkers);
    return Math.min(this.#share, Math.floor(Math.min(cap, this.#reply?.cap ?? cap) / workers));
  }
}
