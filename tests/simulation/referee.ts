import { type RenewalReply, STANDING, VALID_MS } from '../../src/shedding/lease-protocol.ts';
import type { SimulatedRedis } from './simulated-redis.ts';
import type { SimulatedWorker } from './simulated-worker.ts';
import type { VirtualClock } from './virtual-clock.ts';

/** An invariant that a seed has broken. */
export class Violation extends Error {
  override readonly name = 'Violation';
}

/** Number of checks by situation: all workers reach Redis (I1), all are cut off (I2), or some are (I3). */
export interface Checks {
  i1: number;
  i2: number;
  i3: number;
}

/**
 * Checks the invariants I1 to I3 from outside, with full knowledge: Σ in flight ≤ cap + excuses, after every admission
 * and whenever an excuse ends.
 *
 * A worker has lapsed if no renewal that it sent in the last VALID_MS got a reply. It is excused once the account
 * serves another renewal while it has lapsed, outside of learning, because only then can its permits be lent to others;
 * or when it is paused beyond its lease. So no worker is excused if all reach Redis (I1) or none does (I2). The excuse
 * is worth max(floor, in flight). The referee computes that floor from the last reply and from the workers alive. The
 * excuse ends when the worker has a lease again and the leases on record fit the cap: its overhang has drained. A
 * worker that was never admitted is excused for what it has in flight, up to the floor it falls back to.
 *
 * When all workers have lapsed for longer than any request takes, all excuses end, and Σ in flight ≤ max(cap, Σ
 * floors). Floors add up to more than the cap only if a worker was cut off while another one joined.
 */
export class Referee {
  readonly #clock: VirtualClock;
  readonly #redis: SimulatedRedis;
  readonly #cap: number;
  readonly #fallbackWorkers: number;
  readonly #longestWorkMs: number;
  readonly #workers: Set<SimulatedWorker>;
  readonly #excused = new Map<SimulatedWorker, number>();
  readonly checks: Checks = { i1: 0, i2: 0, i3: 0 };
  readonly #admitted = new Set<SimulatedWorker>();
  /** When the account last served a renewal that may have granted permits. */
  #grantedMs = Number.NEGATIVE_INFINITY;
  /** Excess of the floors over the cap, until the leases on record fit the cap again. */
  #overhang = 0;
  wasExcused = false;

  constructor(
    clock: VirtualClock,
    redis: SimulatedRedis,
    workers: Set<SimulatedWorker>,
    limits: { readonly cap: number; readonly fallbackWorkers: number; readonly longestWorkMs: number },
  ) {
    this.#clock = clock;
    this.#redis = redis;
    this.#workers = workers;
    this.#cap = limits.cap;
    this.#fallbackWorkers = limits.fallbackWorkers;
    this.#longestWorkMs = limits.longestWorkMs;
  }

  /** Called after the account has served a renewal: excuses lapsed workers, and ends excuses. */
  counted(sender: SimulatedWorker, reply: RenewalReply | null): void {
    const { account } = this.#redis;
    if (reply?.standing === STANDING.member && !this.#admitted.has(sender)) {
      // Every worker with a lease must know of a new worker that may hold permits.
      this.#admitted.add(sender);
      for (const worker of this.#workers) if (account.counts(worker.id)) worker.known |= sender.bit;
    }
    if (account.isLearning) return;
    this.#grantedMs = this.#clock.nowMs;
    const fits = account.held <= this.#cap;
    if (fits) this.#overhang = 0;
    for (const worker of this.#workers) {
      if (!worker.isMember) {
        const usable = worker.isLapsed ? Number.POSITIVE_INFINITY : worker.reply!.lease;
        const allowance = Math.min(this.#floor(worker), Math.max(worker.inFlight, usable));
        if (allowance > 0) this.#excuse(worker, allowance);
      } else if (worker.isLapsed) {
        this.#excuse(worker, Math.max(worker.inFlight, this.#floor(worker)));
        this.wasExcused = true;
      } else if (fits && account.counts(worker.id)) this.#excused.delete(worker);
    }
    this.check();
  }

  #excuse(worker: SimulatedWorker, allowance: number): void {
    this.#excused.set(worker, Math.max(allowance, this.#excused.get(worker) ?? 0));
  }

  /** Throws a Violation if more is in flight than the invariants allow. */
  check(): void {
    let inFlight = 0;
    let areAllLapsed = true;
    let areAllQuiet = this.#clock.nowMs > this.#grantedMs + VALID_MS;
    for (const worker of this.#workers) {
      inFlight += worker.inFlight;
      areAllLapsed &&= worker.isLapsed;
      const sinceMs = Math.max(worker.validUntilMs, worker.releasedMs);
      // Its requests in flight cannot end, while others may rise to their floor.
      if (worker.isPaused && worker.isLapsed && worker.isMember)
        this.#excuse(worker, Math.max(worker.inFlight, this.#floor(worker)));
      areAllQuiet &&= !worker.isPaused && this.#clock.nowMs > sinceMs + this.#longestWorkMs;
    }
    if (areAllQuiet) {
      this.#excused.clear();
      this.#overhang = Math.max(0, this.#sumOfFloors() - this.#cap);
    }
    this.checks[this.#excused.size > 0 ? 'i3' : areAllLapsed ? 'i2' : 'i1']++;
    if (inFlight <= this.#cap) return;
    const allowed = this.#cap + this.#overhang + this.#allowance();
    if (inFlight <= allowed) return;
    const each = [...this.#workers].map(
      (worker) =>
        `${worker.id}: ${worker.inFlight} in flight${worker.isLapsed ? ', lapsed' : ''}${
          this.#excused.has(worker) ? `, excused for ${this.#excused.get(worker)}` : ''
        }, leased ${worker.reply?.lease} of ${worker.reply?.workers} workers`,
    );
    throw new Violation(
      `${inFlight} in flight, allowed ${allowed} at ${this.#clock.nowMs.toFixed(1)} ms (${each.join('; ')})`,
    );
  }

  #sumOfFloors(): number {
    let floors = 0;
    for (const worker of this.#workers) if (worker.isMember) floors += this.#floor(worker);
    return floors;
  }

  #allowance(): number {
    let allowance = 0;
    for (const worker of this.#workers) {
      const ofNonMember = worker.isMember ? 0 : Math.min(worker.inFlight, this.#floor(worker));
      allowance += Math.max(this.#excused.get(worker) ?? 0, ofNonMember);
    }
    return allowance;
  }

  /** What a worker may use without a lease, by its last reply and by the live workers it must know of. */
  #floor(worker: SimulatedWorker): number {
    const reported = worker.reply?.workers ?? 0;
    if (!worker.isMember) return Math.floor(this.#cap / this.#fallbackWorkers);
    let alive = 0;
    for (const other of this.#workers) if ((other.bit & worker.known) !== 0) alive++;
    return Math.floor(this.#cap / Math.max(reported, alive, 1));
  }
}
