import type { RequestSlots } from '../envelope/exchange.ts';
import { smooth } from '../utils/smooth.ts';

// Callers without a key, and those whose key is not verified yet. No owner is named like that.
const UNKNOWN = '';
const STRANGERS = ' ';
const OWNERS_MAX = 1024;
// Per update: keys that are not verified yet and may be invented, which authentication has yet to find out.
const STRANGERS_MAX = 8;
const STRANGERS_SHARE = 0.05;
const SMOOTHING_MS = 1000;
const FORGOTTEN = 0.001;
// Demand is measured, so an owner that offers its equal part may seem to offer somewhat more.
const TOLERANCE = 1.25;
const BURST = 2;
// What an owner that wants too much has for certain.
const LEAST_PART = 0.25;
// With less than this for each, it is better to serve some callers well.
const COHORTS_PART = 2;
// One of this many permits is left to owners that have not been seen yet.
const PERMITS_PER_SPARE = 20;
// Permits are set aside so that one of about 500 requests of modest owners finds none.
const SPARE_SHARE_MAX = 1 / 3;
const SPARE_PER_REFUSAL = 1;
const SPARE_PER_ADMITTED = 0.002;
const SPARE_RISE_MAX = 2;
const HOLD_SECONDS_MAX = 5;

/** The permits of one owner in one tier. */
class OwnerUse implements RequestSlots {
  readonly #shares: TierShares;
  readonly owner: string;
  inFlight = 0;
  meanInFlight = 0;
  refused = 0;
  refusedPerSecond = 0;
  /** Permits that it would use if none of its requests were refused. */
  demand = 0;
  /** Whether it demands no more than an equal part. */
  isModest = true;
  /** Permits that it may use without leaving any to others. */
  part: number;
  /** Permits up to which its requests are as good as any of their tier. */
  rankedPart: number;

  constructor(shares: TierShares, owner: string, part: number) {
    this.#shares = shares;
    this.owner = owner;
    this.part = part;
    this.rankedPart = part;
  }

  get isVerified(): boolean {
    return this.owner !== UNKNOWN && this.owner !== STRANGERS;
  }

  get isWithinPart(): boolean {
    return this.inFlight + 1 <= this.part;
  }

  release(): void {
    this.#shares.leave(this);
  }
}

/** The permits of a tier by owner. */
class TierShares {
  readonly #uses = new Map<string, OwnerUse>();
  #updates = 0;
  #admitted = 0;
  #admittedPerSecond = 0;
  #spareRise = 0;
  #modestInFlight = 0;
  #modestMean = 0;
  #partOfNext = Number.POSITIVE_INFINITY;
  #spareMax = 0;
  /** Permits that are set aside while there are modest owners. */
  #spare = 1;
  /** An equal part: what each owner can have that wants that much or more. */
  equalPart = Number.POSITIVE_INFINITY;
  meanInFlight = 0;
  #modestOwners = 0;
  #verified = 0;

  of(owner: string): OwnerUse {
    const known = this.#uses.get(owner);
    if (known !== undefined) return known;
    if (this.#uses.size >= OWNERS_MAX && owner !== UNKNOWN) return this.of(UNKNOWN);
    const use = new OwnerUse(this, owner, this.#partOfNext);
    if (!use.isVerified && this.#verified > 0) this.#limit(use, false);
    this.#uses.set(owner, use);
    return use;
  }

  /** Permits that modest owners may be about to use. */
  get withheld(): number {
    if (this.#modestOwners === 0) return 0;
    return this.#spare + Math.max(0, this.#modestMean - this.#modestInFlight);
  }

  enter(use: OwnerUse): void {
    use.inFlight++;
    this.#admitted++;
    if (!use.isModest) return;
    this.#modestInFlight++;
    this.#spare = Math.max(1, this.#spare - SPARE_PER_ADMITTED);
  }

  leave(use: OwnerUse): void {
    use.inFlight--;
    if (use.isModest) this.#modestInFlight--;
  }

  refuse(use: OwnerUse): void {
    use.refused++;
    if (!use.isModest || this.#spareRise >= SPARE_RISE_MAX) return;
    this.#spareRise += SPARE_PER_REFUSAL;
    this.#spare = Math.min(this.#spareMax, this.#spare + SPARE_PER_REFUSAL);
  }

  /** Updates the parts of all owners, of this many permits. */
  update(elapsedMs: number, permits: number): void {
    if (this.#uses.size === 0) {
      this.#updates = 0;
      this.#partOfNext = permits;
      this.meanInFlight = 0;
      this.#modestOwners = 0;
      this.#verified = 0;
      return;
    }
    // The first averages are plain ones, so that they are soon right.
    const weight = Math.max(elapsedMs / (elapsedMs + SMOOTHING_MS), 1 / ++this.#updates);
    const perSecond = 1000 / elapsedMs;
    this.#admittedPerSecond = smooth(this.#admittedPerSecond, this.#admitted * perSecond, weight);
    this.#admitted = 0;
    this.#spareRise = 0;
    this.#spareMax = Math.max(1, permits * SPARE_SHARE_MAX);
    this.#spare = Math.min(this.#spare, this.#spareMax);
    let mean = 0;
    for (const use of this.#uses.values()) {
      use.meanInFlight = smooth(use.meanInFlight, use.inFlight, weight);
      use.refusedPerSecond = smooth(use.refusedPerSecond, use.refused * perSecond, weight);
      use.refused = 0;
      mean += use.meanInFlight;
      if (use.inFlight === 0 && use.meanInFlight < FORGOTTEN && use.refusedPerSecond < FORGOTTEN)
        this.#uses.delete(use.owner);
    }
    this.meanInFlight = mean;
    this.#divide(permits);
  }

  /** Divides the permits: nobody gets more than it demands, and what is left is divided equally (max-min). */
  #divide(permits: number): void {
    // By Little's law, how long a request holds its permit.
    const holdSeconds = Math.min(
      HOLD_SECONDS_MAX,
      this.meanInFlight / Math.max(this.#admittedPerSecond, 0.001),
    );
    for (const use of this.#uses.values()) use.demand = use.meanInFlight + use.refusedPerSecond * holdSeconds;
    // Callers that are not verified can be as many as they like, so they get what the others leave.
    const all = [...this.#uses.values()];
    const verified = all.filter(({ isVerified }) => isVerified);
    this.#verified = verified.length;
    const uses = verified.length > 0 ? verified : all;
    const demands = uses.map(({ demand }) => demand).sort((a, b) => a - b);
    this.equalPart = equalPartOf(demands, permits);
    this.#partOfNext = equalPartOf([...demands, Number.POSITIVE_INFINITY], permits);
    this.#modestOwners = 0;
    this.#modestInFlight = 0;
    this.#modestMean = 0;
    const isModest = (use: OwnerUse) => use.demand <= this.equalPart * TOLERANCE;
    const heavy = uses.filter((use) => !isModest(use));
    // One owner that takes what the others leave is ranked by its keys.
    const isDivided = heavy.length > 1 && this.equalPart >= COHORTS_PART;
    for (const use of all) {
      if (!uses.includes(use)) this.#limit(use, false);
      else if (!isModest(use)) this.#limit(use, isDivided);
      else this.#favor(use, uses.length === 1);
    }
  }

  #limit(use: OwnerUse, isDivided: boolean): void {
    use.isModest = false;
    use.part = use.isVerified ? this.equalPart * LEAST_PART : 0;
    use.rankedPart = isDivided ? this.equalPart : 0;
  }

  #favor(use: OwnerUse, isAlone: boolean): void {
    use.isModest = true;
    use.part = Math.max(1, this.equalPart, Math.min(BURST * use.meanInFlight, BURST * this.equalPart));
    use.rankedPart = isAlone ? use.part / 2 : use.part;
    this.#modestOwners++;
    this.#modestInFlight += use.inFlight;
    this.#modestMean += use.meanInFlight;
  }
}

/** Returns the most that each can have if none gets more than it demands. Demands are in ascending order. */
function equalPartOf(demands: readonly number[], permits: number): number {
  let left = permits;
  for (const [i, demand] of demands.entries()) {
    const part = left / (demands.length - i);
    if (demand >= part) return part;
    left -= demand;
  }
  return Math.max(left, permits / Math.max(1, demands.length));
}

/**
 * Divides the permits of a worker among owners, tier by tier, while most of them are in use. Owners that demand no more
 * than an equal part may use all permits. The others leave them what they usually use, and a few more, by how often
 * those few were not enough (trunk reservation, as in telephony). It is off, and knows nobody, while permits are free.
 */
export class PermitShares {
  readonly #tiers: readonly TierShares[];
  #strangersLeft = STRANGERS_MAX;
  #isStranger = false;
  #use: OwnerUse | null = null;
  #rank = 0;
  #permits = 0;

  constructor(tiers: number) {
    this.#tiers = Array.from({ length: tiers }, () => new TierShares());
  }

  /**
   * Notes the owner and the rank of the request that has arrived; null for a key that is not verified, and without a
   * key. Returns whether the owner is within its part, so that the request is as good as any of its tier.
   */
  arrive(rank: number, owner: string | null, keyIdOf: () => string | null): boolean {
    this.#rank = rank;
    const isUnverified = owner === null && keyIdOf() !== null;
    const use = this.#tiers[rank]!.of(isUnverified ? STRANGERS : (owner ?? UNKNOWN));
    this.#use = use;
    this.#isStranger =
      isUnverified && use.inFlight < this.#permits * STRANGERS_SHARE && this.#strangersLeft-- > 0;
    return this.#isStranger || (use.isVerified && use.inFlight + 1 <= use.rankedPart);
  }

  /** Whether the request that arrived last fits into this many free permits. */
  admits(free: number): boolean {
    const use = this.#use;
    if (use === null || this.#isStranger || use.isWithinPart) return true;
    let left = free;
    for (let rank = this.#rank; rank < this.#tiers.length; rank++) left -= this.#tiers[rank]!.withheld;
    const isAlone = left === free;
    if (isAlone && use.isVerified) left -= Math.min(1, Math.floor(this.#permits / PERMITS_PER_SPARE));
    // What exceeds an equal part leaves as much to others as it takes.
    return left >= Math.max(1, use.inFlight + 1 - this.#tiers[this.#rank]!.equalPart);
  }

  /** Notes that the request that arrived last was refused for lack of permits, or by its rank. */
  refuse(): void {
    if (this.#use !== null) this.#tiers[this.#rank]!.refuse(this.#use);
  }

  /** Notes that it was admitted. Returns what to release when it ends. */
  enter(): RequestSlots | null {
    const use = this.#use;
    if (use !== null) this.#tiers[this.#rank]!.enter(use);
    return use;
  }

  /** Call it at intervals of some tens of milliseconds. */
  update(elapsedMs: number, permits: number): void {
    this.#strangersLeft = STRANGERS_MAX;
    this.#permits = permits;
    let left = permits;
    for (const tier of this.#tiers.toReversed()) {
      tier.update(elapsedMs, Math.max(1, left));
      left -= tier.meanInFlight;
    }
  }
}
