import { smooth } from '../utils/smooth.ts';
import { DrainProbe } from './drain-probe.ts';
import { LOOP_ON_TIME, type LoopState } from './loop-limit.ts';
import { TIER_RANKS } from './priority.ts';
import { longestOf, type ResourceTraits, SLOW_SHARE } from './resource-traits.ts';
import { Slowness } from './slowness.ts';

/** Completions on a resource since the last update. */
export interface Completions {
  /** All requests that released their slot, failures included. */
  readonly finished: number;
  /** Those with a meaningful duration; `late` and the sums cover only these. */
  readonly count: number;
  /** Those that took much longer than they would without a queue. */
  readonly late: number;
  readonly durationMsSum: number;
  /** Time the same requests would have taken without a queue: the sum of their routes' baselines. */
  readonly baselineMsSum: number;
}

// Queueing time to allow, so that the bottleneck never idles. The most important tier gets all of it.
const QUEUE_MS_MIN = 10;
const QUEUE_SHARE = 0.8;
// Share of it per rank, so that more important tiers have room above the others.
const QUEUE_OF_RANK = [0.25, 0.5, 1] as const;
const FLOOR_OF_RANK = [4, 6, 8] as const;
// Requests arrive and replies are read once in each turn of the event loop, whatever the resource does.
const QUEUE_TURNS = 2;
// While the loop is late, requests and replies spend most of their time in sockets. Fewer requests would not help them.
const LATE_QUEUE_MS_OF_RANK = [60, 90, 100] as const;
// A burst is admitted if the resource can absorb it within 80 ms. Its capacity is unknown until the first standing
// queue; until then, permits are the only limit.
const IDLE_MAX = 2;
const BURST_MIN = 64;
const BURST_SECONDS = 0.08;
const BURST_GROWTH = 3;
const STANDING_MIN = 8;
const BURST_OF_CRITICAL = 1.5;
const CRITICAL_FALL = 0.6;
const CALM_UPDATES = 20;
const CALM_LOST = 3;
const PROBE_GROWTH = 1.1;
// Time constant of the averages, or the latency if that is longer: earlier arrivals have not completed yet.
const SMOOTHING_MS = 100;
// After this long without a queue, the baseline is trusted.
const TRUSTED_MS = 1000;
const SMOOTHING = 0.4;
// A resource is late when most recent responses were, or when this many expected responses are missing.
const LATE_SHARE = 0.5;
const LATE_RESPONSES = 20;
const MISSING_RESPONSES = 20;
const PACE_SMOOTHING = 0.1;

/**
 * `open`: no standing queue; the limit is far above what is in use. `limiting`: the limit tracks what the resource
 * completes. `draining`: like `limiting`, but lowered for a moment to measure the baseline. `standingMs` is the age of
 * the queue that is being watched, `calmUpdates` the updates without a queue.
 */
type LimitState =
  | { readonly kind: 'open'; standingMs: number }
  | { readonly kind: 'limiting' | 'draining'; readonly calmUpdates: number };

/**
 * A concurrency limit for one resource that may be a bottleneck. Without a queue it stays at a multiple of what was in
 * use. A standing queue (the minimum in flight over an interval, as in CoDel, RFC 8289) engages it. Then each tier's
 * limit is rate × (baseline + a short wait): the bandwidth-delay product of BBR.
 *
 * A slower resource looks like a queue. When fewer requests in flight do not make it faster, the limit accepts the
 * slowness for a while. Limits that trust their baseline would refuse more and more.
 */
export class AdaptiveLimit {
  readonly name: string;
  readonly #traits: ResourceTraits;
  readonly #floorOfRank: readonly number[];
  /** Requests using the resource now. */
  inFlight = 0;
  #minInFlight = 0;
  #peakInFlight = 0;
  #refused = 0;
  readonly #limits = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  readonly #drainProbe = new DrainProbe();
  #state: LimitState = { kind: 'open', standingMs: 0 };
  #peak = 0;
  #burst = Number.POSITIVE_INFINITY;
  #ratePerSecond = 0;
  /** Completions per second while there was a queue: the resource's capacity. 0 until one was seen. */
  #capacityPerSecond = 0;
  #latencyMs = 0;
  #baselineMs = 0;
  #lateShare = 0;
  #silentMs = 0;
  /** Time in which responses arrived while the limit was open. */
  #openMs = 0;
  /** Completions per second, idle intervals excluded. */
  #pacePerSecond = 0;
  readonly #slowness = new Slowness();
  #loop = LOOP_ON_TIME;

  constructor(name: string, traits: ResourceTraits = {}) {
    this.name = name;
    this.#traits = traits;
    this.#floorOfRank = FLOOR_OF_RANK.map((floor) => Math.max(floor, traits.inFlightMin ?? 0));
  }

  /** Whether a request of this rank fits, if need be into `room` times the limit. Counts the refusal if not. */
  admits(rank: number, room: () => number = () => 1): boolean {
    const limit = this.#state.kind === 'draining' ? this.#drainedLimit(rank) : this.#limits[rank]!;
    if (this.inFlight < limit || this.inFlight < limit * room()) return true;
    this.#refused++;
    return false;
  }

  enter(): void {
    if (++this.inFlight > this.#peakInFlight) this.#peakInFlight = this.inFlight;
  }

  leave(): void {
    if (--this.inFlight < this.#minInFlight) this.#minInFlight = this.inFlight;
  }

  /** Peak concurrency since the last update. */
  get peakInFlight(): number {
    return this.#peakInFlight;
  }

  /** Opens the limit after an idle period, in which any queue has drained. */
  disengage(): void {
    this.#state = { kind: 'open', standingMs: 0 };
    this.#silentMs = 0;
    this.#lateShare = 0;
  }

  /** Whether the resource has a queue and requests may be refused because of it. */
  get isEngaged(): boolean {
    return this.#state.kind !== 'open';
  }

  /** The limit of the most important tier, and so of the total in flight. */
  get limit(): number {
    return Math.floor(this.#limits[TIER_RANKS.critical]!);
  }

  #drainedLimit(rank: number): number {
    return Math.max(this.#floorOfRank[rank]!, this.#limits[rank]! * this.#drainProbe.shareOf(rank));
  }

  /** Adjusts the limit to what happened since the last update, some tens of milliseconds ago. */
  update(elapsedMs: number, completions: Completions, loop: LoopState = LOOP_ON_TIME): void {
    const { finished, count, late, durationMsSum, baselineMsSum } = completions;
    this.#loop = loop;
    const refused = this.#refused;
    const standing = this.#minInFlight;
    const most = this.#peakInFlight;
    this.#refused = 0;
    this.#minInFlight = this.inFlight;
    this.#peakInFlight = this.inFlight;
    const weight = 1 - Math.exp(-elapsedMs / Math.max(SMOOTHING_MS, this.#latencyMs));
    this.#ratePerSecond = smooth(this.#ratePerSecond, (finished * 1000) / elapsedMs, weight);
    if (finished > 0) {
      const sinceMs = this.#silentMs + elapsedMs;
      this.#pacePerSecond = smooth(this.#pacePerSecond, (finished * 1000) / sinceMs, PACE_SMOOTHING);
      this.#silentMs = 0;
    } else this.#silentMs += elapsedMs;
    if (count > 0) {
      this.#lateShare = smooth(this.#lateShare, late / count, 1 - Math.exp(-count / LATE_RESPONSES));
      this.#latencyMs = smooth(this.#latencyMs, durationMsSum / count, this.#latencyMs === 0 ? 1 : SMOOTHING);
      this.#baselineMs = smooth(
        this.#baselineMs,
        baselineMsSum / count,
        this.#baselineMs === 0 ? 1 : SMOOTHING,
      );
    }
    if (this.#baselineMs > 0) this.#slowness.boundBy(this.#latencyMs / this.#baselineMs);
    const state = this.#state;
    if (state.kind === 'open') {
      if (count > 0 && !this.#isLate) this.#openMs += elapsedMs;
      state.standingMs = this.#isQueued(this.#isLate ? standing : 0) ? state.standingMs + elapsedMs : 0;
      // Requests that have just arrived are not late yet, however many there are.
      if (state.standingMs > this.#baselineMs + elapsedMs / 2) this.#engage();
      else this.#allowBurst(most, refused);
    } else if (this.#drainProbe.isDraining(elapsedMs, this.#latencyMs, this.#baselineMs))
      this.#state = { kind: 'draining', calmUpdates: state.calmUpdates };
    else this.#steer(state.calmUpdates, elapsedMs, standing, refused);
  }

  /**
   * Whether the requests in flight are queueing. In a queue, most requests are late; where some are slow by nature,
   * most are not. A resource that completes nothing at all shows neither, so silence counts as late.
   */
  get #isLate(): boolean {
    return this.#lateShare > LATE_SHARE || this.#silentMs * this.#pacePerSecond > MISSING_RESPONSES * 1000;
  }

  #isQueued(standing: number): boolean {
    const isKnown = this.#baselineMs > 0;
    return (
      isKnown && standing >= STANDING_MIN && this.#predictedMs(standing) > this.#targetMs(TIER_RANKS.critical)
    );
  }

  #allowBurst(most: number, refused: number): void {
    const isFast = this.#predictedMs(most) < this.#targetMs(TIER_RANKS.critical);
    if (isFast) this.#peak = Math.max(most, this.#peak * 0.99);
    const isIdle = (this.#ratePerSecond * this.#baselineMs) / 1000 < IDLE_MAX;
    // An idle resource of unknown capacity may be able to take everything.
    if (this.#capacityPerSecond === 0 && isIdle) this.#burst = Number.POSITIVE_INFINITY;
    const { burstMin = BURST_MIN } = this.#traits;
    const usual = Math.max(burstMin, this.#capacityPerSecond * BURST_SECONDS, this.#peak * BURST_GROWTH);
    if (!isIdle && this.#burst === Number.POSITIVE_INFINITY) this.#burst = usual;
    else this.#burst = Math.max(usual, refused > 0 && isFast ? this.#burst * 2 : this.#burst * 0.95);
    this.#limits[0] = this.#burst;
    this.#limits[1] = this.#burst;
    this.#limits[2] = this.#burst * BURST_OF_CRITICAL;
  }

  #engage(): void {
    this.#state = { kind: 'limiting', calmUpdates: 0 };
    this.#slowness.reset();
    this.#drainProbe.reset(this.#openMs > TRUSTED_MS);
    this.#openMs = 0;
    this.#capacityPerSecond = this.#ratePerSecond;
    for (const rank of this.#limits.keys())
      this.#limits[rank] = Math.min(this.#limits[rank]!, this.inFlight * 1.25);
    for (const rank of QUEUE_OF_RANK.keys()) this.#setLimit(rank, 1);
  }

  #steer(calmBefore: number, elapsedMs: number, standing: number, refused: number): void {
    const observed = {
      inFlight: (this.#ratePerSecond * this.#latencyMs) / 1000,
      latencyMs: this.#latencyMs,
      baselineMs: this.#baselineMs,
    };
    this.#restore(this.#slowness.learn(elapsedMs, observed));
    const waits = this.#latencyMs > this.#targetMs(TIER_RANKS.critical);
    // At some moment, fewer were in flight than the resource serves concurrently, so there is no standing queue.
    const isFree = !waits && this.#predictedMs(standing) < this.#slowness.factor * this.#baselineMs;
    this.#capacityPerSecond = Math.max(this.#capacityPerSecond, this.#ratePerSecond);
    const calmUpdates =
      isFree || (refused === 0 && !waits) ? calmBefore + 1 : Math.max(0, calmBefore - CALM_LOST);
    this.#state = { kind: 'limiting', calmUpdates };
    const isPinned = refused > 0 && this.#limits[1]! <= this.#floorOfRank[1]!;
    if (isFree) this.#slowness.stopProbe();
    else {
      const { factor, isProbing, acceptedInFlight } = this.#slowness.probe(elapsedMs, observed, isPinned);
      for (const rank of this.#limits.keys()) this.#limits[rank]! *= factor;
      this.#restore(acceptedInFlight);
      if (isProbing) return;
    }
    if (isFree && refused > 0) for (const rank of this.#limits.keys()) this.#limits[rank]! *= PROBE_GROWTH;
    else if (refused > 0 || waits) for (const rank of QUEUE_OF_RANK.keys()) this.#setLimit(rank, 0.5);
    if (calmUpdates < CALM_UPDATES) return;
    this.#state = { kind: 'open', standingMs: 0 };
    this.#burst = Math.max(...this.#limits);
  }

  #setLimit(rank: number, weight: number): void {
    const before = this.#limits[rank]!;
    const target = (this.#ratePerSecond * this.#targetMs(rank)) / 1000;
    const next = smooth(before, target, weight);
    // The limit of the most important tier falls slowly: the queue drains by refusing the others.
    const least = rank === TIER_RANKS.critical ? before * CRITICAL_FALL : 0;
    this.#limits[rank] = Math.max(
      this.#floorOfRank[rank]!,
      this.#isSlow ? (this.#traits.burstMin ?? 0) : 0,
      least,
      next,
    );
  }

  /**
   * Whether even small batches take too long, so that full ones get the most out of the resource. While the event loop
   * is late, it is this process that is slow.
   */
  get #isSlow(): boolean {
    const { budgetMs = Number.POSITIVE_INFINITY, leastMs } = this.#traits;
    return leastMs !== undefined && !this.#loop.isLate && leastMs() > budgetMs * SLOW_SHARE;
  }

  /** Raises the limits to a concurrency that turned out not to be the cause of the slowness. */
  #restore(inFlight: number): void {
    for (const rank of this.#limits.keys()) this.#limits[rank] = Math.max(this.#limits[rank]!, inFlight);
  }

  /** The longest a response should take, for a rank. */
  #targetMs(rank: number): number {
    const { budgetMs } = this.#traits;
    if (budgetMs !== undefined) return longestOf(budgetMs, this.#loop.isLate) * QUEUE_OF_RANK[rank]!;
    const usualMs = this.#slowness.factor * this.#baselineMs;
    if (this.#loop.isLate) return usualMs + LATE_QUEUE_MS_OF_RANK[rank]!;
    const turnsMs = QUEUE_TURNS * this.#loop.delayMs;
    return usualMs + Math.max(QUEUE_MS_MIN, usualMs * QUEUE_SHARE, turnsMs) * QUEUE_OF_RANK[rank]!;
  }

  /** How long the requests in flight take to complete (Little's law). */
  #predictedMs(inFlight: number): number {
    return (inFlight * 1000) / Math.max(this.#ratePerSecond, 0.001);
  }
}
