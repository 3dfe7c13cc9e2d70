import type { Exchange, MatchedRoute } from '../envelope/exchange.ts';
import type { Admission } from '../envelope/load-shedding.ts';
import { TIERS } from '../utils/tier.ts';
import { AdaptiveLimit, type ResourceTraits } from './adaptive-limit.ts';
import { Cutoff } from './cutoff.ts';
import type { LoopLimit } from './loop-limit.ts';
import type { PermitSource } from './permit-source.ts';
import { COHORTS, cohortOf, rankOf, TIER_RANKS } from './priority.ts';
import { RouteTimes } from './route-times.ts';

/** Why a request was let in or not: for want of a permit, of room at a resource or in the loop, of rank, or of time. */
export const DECISIONS = ['admitted', 'permits', 'resource', 'loop', 'priority', 'deadline'] as const;
export type Decision = (typeof DECISIONS)[number];
export type Refusal = Exclude<Decision, 'admitted'>;

/** What admission needs from outside. */
export interface AdmissionOptions {
  readonly permits: PermitSource;
  readonly routes: readonly MatchedRoute[];
  readonly loop: LoopLimit;
  /** What is known of resources beforehand, by name. */
  readonly traits?: Readonly<Record<string, ResourceTraits>>;
  /** The public id of the key that a request brings, unverified, or null. */
  readonly keyIdOf: (request: Request) => string | null;
  readonly refuse: (reason: Refusal) => Error;
  /** Milliseconds of the monotonic clock. */
  readonly nowMs: () => number;
}

const UPDATE_MS = 50;
/** After a longer silence, what was seen before it says nothing of now. */
const SILENCE_MS = 1000;
const RESERVED_BY_RANK = [0.04, 0.02, 0] as const;
// Below it, no caller's deadline is worth being looked at before the work begins.
const DEADLINE_MEDIAN_MS_MIN = 2;
const SHORT_UPDATES = 20;
// Mostly answered before any resource was asked; what took longer than that has used one.
const EARLY_MS_MAX = 1;
const REFUSED_EARLY = new Set([400, 401, 403, 413, 415, 429]);
const TURN_MS = 3_600_000;
const WANTED_KEPT = 0.9;
const WANTED_MARGIN = 1.25;
const WANTED_MORE = 2;

/**
 * Decides in front of every route, in well under a microsecond: by the permits of the cluster, by what each resource
 * and the loop of this worker can take, by the rank of the request, and by the time it has left. Limits move every 50
 * ms, by the first request that comes then: there is no timer, and nothing happens where nobody asks.
 */
export class AdmissionControl implements Admission {
  readonly #options: AdmissionOptions;
  readonly #ranks: Uint8Array;
  readonly #limitOfRoute: readonly (AdaptiveLimit | null)[];
  readonly #resources: readonly { limit: AdaptiveLimit; times: readonly number[] }[];
  readonly #times: RouteTimes;
  readonly #cutoff = new Cutoff();
  readonly #decisions = new Float64Array(TIERS.length * DECISIONS.length);
  #inFlight = 0;
  #mostInFlight = 0;
  #shortRefusals = 0;
  #shortUpdates = 0;
  #cutoffLevel = 0;
  #isPressed = false;
  #turn = 0;
  #wanted = 0;
  #loopDelayMs = 0;
  #updatedMs: number;

  constructor(options: AdmissionOptions) {
    this.#options = options;
    const { routes, permits } = options;
    this.#ranks = Uint8Array.from(routes, ({ tier }) => TIER_RANKS[tier]);
    const names = [...new Set(routes.flatMap(({ resource }) => resource ?? []))];
    this.#resources = names.map((name) => ({
      limit: new AdaptiveLimit(name, options.traits?.[name]),
      times: routes
        .filter(({ resource }) => resource === name)
        .flatMap(({ index }) => [timesOf(index, true), timesOf(index, false)]),
    }));
    this.#limitOfRoute = routes.map(
      ({ resource }) => this.#resources.find(({ limit }) => limit.name === resource)?.limit ?? null,
    );
    this.#times = new RouteTimes(routes.length * 2);
    this.#updatedMs = options.nowMs();
    permits.observe(() => this.#demand());
  }

  /** Answers null and takes a permit, or answers the error that refuses the request. */
  admit(request: Request, exchange: Exchange): Error | null {
    const { permits, loop } = this.#options;
    const { route, startMs } = exchange;
    if (startMs - this.#updatedMs >= UPDATE_MS) this.#update(startMs);
    const routeRank = this.#ranks[route.index]!;
    let rank = routeRank;
    if (this.#isPressed) {
      rank = rankOf(route.tier, request.headers.get('priority'));
      // The cutoff is that of the cluster: a worker that is not short itself lets the others have its permits.
      if (this.#shortUpdates > 0 || this.#cutoffLevel > 0) {
        const level = rank * COHORTS + cohortOf(this.#options.keyIdOf(request), this.#turn);
        if (this.#shortUpdates > 0) this.#cutoff.arrived(level);
        if (level < this.#cutoffLevel) return this.#refuse(routeRank, 'priority');
      }
    }
    if (this.#isHopeless(exchange)) return this.#refuse(routeRank, 'deadline');
    const limit = permits.limitAt(startMs);
    if (this.#inFlight >= limit - Math.round(limit * RESERVED_BY_RANK[rank]!)) {
      this.#shortRefusals++;
      permits.runShort();
      return this.#refuse(routeRank, 'permits');
    }
    const resource = this.#limitOfRoute[route.index]!;
    if (resource !== null && !resource.admits(rank)) return this.#refuse(routeRank, 'resource');
    if (!loop.admits(rank)) return this.#refuse(routeRank, 'loop');
    loop.enter();
    if (++this.#inFlight > this.#mostInFlight) this.#mostInFlight = this.#inFlight;
    if (this.#shortUpdates > 0) this.#cutoff.admitted();
    this.#decisions[routeRank * DECISIONS.length]!++;
    return null;
  }

  /** Answers null and takes a place at the resource of the route, or answers the error that refuses the request. */
  begin(exchange: Exchange): Error | null {
    const { route } = exchange;
    const resource = this.#limitOfRoute[route.index]!;
    const rank = this.#ranks[route.index]!;
    // It was counted as admitted too, when its body was still to come: a count that was told is not taken back.
    if (resource !== null && !resource.admits(rank)) return this.#refuse(rank, 'resource');
    resource?.enter();
    exchange.begunMs = this.#options.nowMs();
    return null;
  }

  /** Gives the permit back. `status` is what the handler answered, or 0 where it threw. */
  release({ route, begunMs }: Exchange, status: number): void {
    this.#inFlight--;
    if (begunMs < 0) return;
    this.#limitOfRoute[route.index]?.leave();
    const tookMs = this.#options.nowMs() - begunMs;
    const times = timesOf(route.index, status < 400 || status === 504);
    if (REFUSED_EARLY.has(status)) {
      if (tookMs >= EARLY_MS_MAX) this.#times.addFailure(times);
    } else if (this.#tellsTime(status, tookMs, times)) this.#times.add(times, tookMs);
    else this.#times.addFailure(times);
  }

  /** A failure says nothing of the next answer; one that was cut off says only that it would have taken longer. */
  #tellsTime(status: number, tookMs: number, times: number): boolean {
    if (status === 504) return tookMs >= this.#times.medianMs(times);
    return status !== 0 && status !== 499 && status < 500;
  }

  #refuse(rank: number, reason: Refusal): Error {
    this.#decisions[rank * DECISIONS.length + DECISIONS.indexOf(reason)]!++;
    return this.#options.refuse(reason);
  }

  /** Whether the caller will be gone before half of the answers of this route are ready. */
  #isHopeless(exchange: Exchange): boolean {
    const { index, timeoutMs, streamsBody } = exchange.route;
    // How long a stream takes is up to who sends it, and says nothing of the next one.
    if (streamsBody) return false;
    const times = timesOf(index, true);
    const medianMs = this.#times.medianMs(times);
    if (medianMs < DEADLINE_MEDIAN_MS_MIN) return false;
    const leftMs = exchange.deadlineMs - exchange.startMs;
    if (leftMs >= medianMs || leftMs >= timeoutMs) return false;
    this.#times.doubtMedian(times);
    return true;
  }

  #update(nowMs: number): void {
    const elapsedMs = Math.min(nowMs - this.#updatedMs, SILENCE_MS);
    if (nowMs - this.#updatedMs > SILENCE_MS) this.#rest();
    this.#updatedMs = nowMs;
    for (const { limit, times } of this.#resources)
      limit.update(elapsedMs, this.#times.take(times, limit.mostInFlight));
    this.#loopDelayMs = this.#options.loop.update();
    const short = this.#shortRefusals > 0;
    this.#shortUpdates = short ? SHORT_UPDATES : Math.max(0, this.#shortUpdates - 1);
    if (this.#shortUpdates > 0) this.#cutoff.update(elapsedMs / 1000, short);
    else this.#cutoff.rest();
    this.#cutoffLevel = this.#options.permits.cutoffAt(nowMs) ?? this.#cutoff.level;
    this.#wanted = this.#wantedNow();
    this.#mostInFlight = this.#inFlight;
    this.#shortRefusals = 0;
    this.#turn = Math.floor(Date.now() / TURN_MS);
    this.#isPressed =
      this.#shortUpdates > 0 ||
      this.#cutoffLevel > 0 ||
      this.#options.loop.limit !== Number.POSITIVE_INFINITY ||
      this.#resources.some(({ limit }) => limit.isEngaged);
  }

  /** Nobody came for a while, so nobody stands in line any more. What is in flight still counts. */
  #rest(): void {
    for (const { limit } of this.#resources) limit.rest();
    this.#shortUpdates = 0;
    this.#wanted = 0;
  }

  /** What was in flight at most, and what those would have held that were refused for want of permits. */
  #wantedNow(): number {
    const used = this.#mostInFlight * WANTED_MARGIN + WANTED_MORE;
    return Math.max(used + this.#shortRefusals, this.#wanted * WANTED_KEPT);
  }

  #catchUp(): void {
    const nowMs = this.#options.nowMs();
    if (nowMs - this.#updatedMs >= UPDATE_MS) this.#update(nowMs);
  }

  #demand() {
    this.#catchUp();
    return {
      inFlight: this.#inFlight,
      wanted: Math.ceil(this.#wanted),
      cutoff: this.#cutoff.level,
      arrivals: Math.round(this.#cutoff.arrivalsPerSecond),
    };
  }

  /** How things stand, for metrics and for people. */
  stats(): AdmissionStats {
    this.#catchUp();
    const decisions = TIERS.flatMap((tier, rank) =>
      DECISIONS.map((decision, i) => ({
        tier,
        decision,
        count: this.#decisions[rank * DECISIONS.length + i]!,
      })),
    );
    return {
      inFlight: this.#inFlight,
      decisions,
      resources: this.#resources.map(({ limit }) => ({
        name: limit.name,
        inFlight: limit.inFlight,
        limit: limit.limit,
        isEngaged: limit.isEngaged,
      })),
      loopLimit: this.#options.loop.limit,
      loopDelayMs: this.#loopDelayMs,
      cutoffLevel: this.#cutoffLevel,
    };
  }
}

/** Where the times of a route stand: those of its successes apart from its refusals, which can be much faster. */
function timesOf(route: number, isSuccess: boolean): number {
  return route * 2 + (isSuccess ? 0 : 1);
}

/** What admission did since the start, and where its limits are now. */
export interface AdmissionStats {
  readonly inFlight: number;
  readonly decisions: readonly {
    readonly tier: string;
    readonly decision: Decision;
    readonly count: number;
  }[];
  readonly resources: readonly {
    readonly name: string;
    readonly inFlight: number;
    readonly limit: number;
    /** Whether requests are refused for it now. */
    readonly isEngaged: boolean;
  }[];
  /** Requests that one turn of the loop may begin; infinite while it is on time. */
  readonly loopLimit: number;
  readonly loopDelayMs: number;
  readonly cutoffLevel: number;
}
