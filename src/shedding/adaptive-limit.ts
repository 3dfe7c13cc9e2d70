import { smooth } from '../utils/smooth.ts';
import { DrainProbe } from './drain-probe.ts';
import { TIER_RANKS } from './priority.ts';
import { Slowness } from './slowness.ts';

/** What completed on a resource since the last update. */
export interface Completions {
  /** All that gave its place back, failures included. */
  readonly ended: number;
  /** Those whose time tells something; the sums are over them. */
  readonly count: number;
  /** Those of them that took much longer than with nobody in line. */
  readonly late: number;
  readonly durationMsSum: number;
  /** What the same requests would have taken without a queue: the sum of the baselines of their routes. */
  readonly baselineMsSum: number;
}

/** What is known of a resource beforehand. */
export interface ResourceTraits {
  /** A wait in line that is worth having here, at least, for the most important callers, in milliseconds. */
  readonly queueMs?: number;
  /** So many it always takes at once, however slow it is. */
  readonly inFlightMin?: number;
}

// Wait in a queue that is worth having, so that the bottleneck never idles: of the most important tier, in full.
const QUEUE_MS_MIN = 10;
const QUEUE_SHARE = 0.8;
// A tier may make callers wait for that much of it, so that the more important ones find room above the others.
const QUEUE_OF_RANK = [0.25, 0.5, 1] as const;
const FLOOR_OF_RANK = [4, 6, 8] as const;
// A burst is welcome if the resource can take it in an eyeblink. What it can take is known after its first standing
// queue; until then the permits are the only limit.
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
// Stats follow in that time, or in that of an answer where it takes longer: what came in before it is not out yet.
const SMOOTHING_MS = 100;
// So long answers came without a line: then their usual time is known.
const TRUSTED_MS = 1000;
const SMOOTHING = 0.4;
// Most of the last answers were late, or none came for a time in which there used to be so many.
const LATE_SHARE = 0.5;
const LATE_ANSWERS = 20;
const MISSING_ANSWERS = 20;
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
 * A limit on the requests in flight at one resource that may be a bottleneck. While nothing stands in line it is out of
 * the way: a multiple of what was in use. A standing queue (the least in flight over an interval, as in CoDel, RFC
 * 8289) engages it; then it is rate × (baseline + a short wait), the bandwidth-delay product of BBR, for each tier its
 * own.
 *
 * A slower resource looks like a queue. So when fewer in flight do not make answers faster, the slowness is taken as
 * given for a while, instead of refusing ever more: the failure of limits that trust their baseline.
 */
export class AdaptiveLimit {
  readonly name: string;
  readonly #queueMs: number;
  readonly #floorOfRank: readonly number[];
  /** Requests that use the resource now. */
  inFlight = 0;
  #leastInFlight = 0;
  #mostInFlight = 0;
  #refused = 0;
  readonly #limits = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  readonly #drainProbe = new DrainProbe();
  #state: LimitState = { kind: 'open', standingMs: 0 };
  #peak = 0;
  #burst = Number.POSITIVE_INFINITY;
  #ratePerSecond = 0;
  /** Completions per second while something stood in line: what the resource can take. 0 before that was seen. */
  #capacityPerSecond = 0;
  #latencyMs = 0;
  #baselineMs = 0;
  #lateShare = 0;
  #silentMs = 0;
  /** How long answers came while nothing limited the resource. */
  #freeMs = 0;
  /** Completions per second while there are some. */
  #pacePerSecond = 0;
  readonly #slowness = new Slowness();

  constructor(name: string, { queueMs = QUEUE_MS_MIN, inFlightMin = 0 }: ResourceTraits = {}) {
    this.name = name;
    this.#queueMs = queueMs;
    this.#floorOfRank = FLOOR_OF_RANK.map((floor) => Math.max(floor, inFlightMin));
  }

  /** Whether a request of this rank fits. Counts the refusal where it does not. */
  admits(rank: number): boolean {
    const limit = this.#limits[rank]!;
    if (this.inFlight < (this.#state.kind === 'draining' ? this.#drainedLimit(rank) : limit)) return true;
    this.#refused++;
    return false;
  }

  enter(): void {
    if (++this.inFlight > this.#mostInFlight) this.#mostInFlight = this.inFlight;
  }

  leave(): void {
    if (--this.inFlight < this.#leastInFlight) this.#leastInFlight = this.inFlight;
  }

  /** The most that used the resource at once since the last update. */
  get mostInFlight(): number {
    return this.#mostInFlight;
  }

  /** Forgets the line, which is gone when nobody has come for a while. */
  rest(): void {
    this.#state = { kind: 'open', standingMs: 0 };
    this.#silentMs = 0;
    this.#lateShare = 0;
  }

  /** True while something stands in line at the resource, and requests are refused for it. */
  get isEngaged(): boolean {
    return this.#state.kind !== 'open';
  }

  /** The limit of the most important tier: what may be in flight at all. */
  get limit(): number {
    return Math.floor(this.#limits[TIER_RANKS.critical]!);
  }

  #drainedLimit(rank: number): number {
    return Math.max(this.#floorOfRank[rank]!, this.#limits[rank]! * this.#drainProbe.shareOf(rank));
  }

  /** Moves the limit by what was seen since the last update, some tens of milliseconds ago. */
  update(elapsedMs: number, { ended, count, late, durationMsSum, baselineMsSum }: Completions): void {
    const refused = this.#refused;
    const standing = this.#leastInFlight;
    const most = this.#mostInFlight;
    this.#refused = 0;
    this.#leastInFlight = this.inFlight;
    this.#mostInFlight = this.inFlight;
    const weight = 1 - Math.exp(-elapsedMs / Math.max(SMOOTHING_MS, this.#latencyMs));
    this.#ratePerSecond = smooth(this.#ratePerSecond, (ended * 1000) / elapsedMs, weight);
    if (ended > 0) {
      const sinceMs = this.#silentMs + elapsedMs;
      this.#pacePerSecond = smooth(this.#pacePerSecond, (ended * 1000) / sinceMs, PACE_SMOOTHING);
      this.#silentMs = 0;
    } else this.#silentMs += elapsedMs;
    if (count > 0) {
      this.#lateShare = smooth(this.#lateShare, late / count, 1 - Math.exp(-count / LATE_ANSWERS));
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
      if (count > 0 && !this.#isLate) this.#freeMs += elapsedMs;
      state.standingMs = this.#isQueued(this.#isLate ? standing : 0) ? state.standingMs + elapsedMs : 0;
      // Requests that came a moment ago are not late yet, however many they are.
      if (state.standingMs > this.#baselineMs + elapsedMs / 2) this.#engage();
      else this.#allowBurst(most, refused);
    } else if (this.#drainProbe.isDraining(elapsedMs, this.#latencyMs, this.#baselineMs))
      this.#state = { kind: 'draining', calmUpdates: state.calmUpdates };
    else this.#steer(state.calmUpdates, elapsedMs, standing, refused);
  }

  /**
   * Whether what is in flight stands in line. In a line everybody is late; where some take long by nature, most are
   * not. A resource on which nothing ends any more cannot be told apart by that, so its silence counts.
   */
  get #isLate(): boolean {
    return this.#lateShare > LATE_SHARE || this.#silentMs * this.#pacePerSecond > MISSING_ANSWERS * 1000;
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
    // Nobody can say yet that an idle resource could not take it all at once.
    if (this.#capacityPerSecond === 0 && isIdle) this.#burst = Number.POSITIVE_INFINITY;
    const usual = Math.max(BURST_MIN, this.#capacityPerSecond * BURST_SECONDS, this.#peak * BURST_GROWTH);
    if (!isIdle && this.#burst === Number.POSITIVE_INFINITY) this.#burst = usual;
    else this.#burst = Math.max(usual, refused > 0 && isFast ? this.#burst * 2 : this.#burst * 0.95);
    this.#limits[0] = this.#burst;
    this.#limits[1] = this.#burst;
    this.#limits[2] = this.#burst * BURST_OF_CRITICAL;
  }

  #engage(): void {
    this.#state = { kind: 'limiting', calmUpdates: 0 };
    this.#slowness.reset();
    this.#drainProbe.reset(this.#freeMs > TRUSTED_MS);
    this.#freeMs = 0;
    this.#capacityPerSecond = this.#ratePerSecond;
    for (const rank of this.#limits.keys())
      this.#limits[rank] = Math.min(this.#limits[rank]!, this.inFlight * 1.25);
    for (const rank of QUEUE_OF_RANK.keys()) this.#setLimit(rank, 1);
  }

  #steer(calmBefore: number, elapsedMs: number, standing: number, refused: number): void {
    const seen = {
      inFlight: (this.#ratePerSecond * this.#latencyMs) / 1000,
      latencyMs: this.#latencyMs,
      baselineMs: this.#baselineMs,
    };
    this.#restore(this.#slowness.learn(elapsedMs, seen));
    const waits = this.#latencyMs > this.#targetMs(TIER_RANKS.critical);
    // At some moment, fewer were there than the resource works on at once: those who come have no line to stand in.
    const isFree = !waits && this.#predictedMs(standing) < this.#slowness.factor * this.#baselineMs;
    this.#capacityPerSecond = Math.max(this.#capacityPerSecond, this.#ratePerSecond);
    const calmUpdates =
      isFree || (refused === 0 && !waits) ? calmBefore + 1 : Math.max(0, calmBefore - CALM_LOST);
    this.#state = { kind: 'limiting', calmUpdates };
    const isPinned = refused > 0 && this.#limits[1]! <= this.#floorOfRank[1]!;
    if (isFree) this.#slowness.stopProbe();
    else {
      const { factor, isProbing, acceptedInFlight } = this.#slowness.probe(elapsedMs, seen, isPinned);
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
    const wanted = (this.#ratePerSecond * this.#targetMs(rank)) / 1000;
    const next = before + (wanted - before) * weight;
    // The most important callers are let down gently: what stands in line drains by refusing the others.
    const least = rank === TIER_RANKS.critical ? before * CRITICAL_FALL : 0;
    this.#limits[rank] = Math.max(this.#floorOfRank[rank]!, least, next);
  }

  /** Goes back to where it was before so many were refused for nothing. */
  #restore(inFlight: number): void {
    for (const rank of this.#limits.keys()) this.#limits[rank] = Math.max(this.#limits[rank]!, inFlight);
  }

  /** How long an answer should take at most, for a rank. */
  #targetMs(rank: number): number {
    const usualMs = this.#slowness.factor * this.#baselineMs;
    return usualMs + Math.max(this.#queueMs, usualMs * QUEUE_SHARE) * QUEUE_OF_RANK[rank]!;
  }

  /** How long those in flight take to get through (Little's law). */
  #predictedMs(inFlight: number): number {
    return (inFlight * 1000) / Math.max(this.#ratePerSecond, 0.001);
  }
}
