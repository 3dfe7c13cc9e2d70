import type { Exchange, MatchedRoute } from '../envelope/exchange.ts';
import type { Admission } from '../envelope/load-shedding.ts';
import { runLateTimers } from '../utils/late-timers.ts';
import { partyOf } from '../utils/party.ts';
import { TIERS } from '../utils/tier.ts';
import { AdaptiveLimit } from './adaptive-limit.ts';
import type { AdmissionStats } from './admission-stats.ts';
import { BodyShares } from './body-shares.ts';
import { ChunkedBodies } from './chunked-bodies.ts';
import { Cutoff } from './cutoff.ts';
import { DECISIONS, type Refusal } from './decision.ts';
import type { LoopLimit } from './loop-limit.ts';
import { OwnerLoad } from './owner-load.ts';
import { PermitShares } from './permit-shares.ts';
import type { PermitSource } from './permit-source.ts';
import { PermitsInUse } from './permits-in-use.ts';
import { COHORTS, cohortOf, rankOf, TIER_RANKS } from './priority.ts';
import type { ResourceTraits } from './resource-traits.ts';
import { RouteTimes, timesOf } from './route-times.ts';

/** Collaborators and settings of admission. */
export interface AdmissionOptions {
  readonly permits: PermitSource;
  readonly routes: readonly MatchedRoute[];
  readonly loop: LoopLimit;
  /** Known properties of resources, by name. */
  readonly traits?: Readonly<Record<string, ResourceTraits>>;
  /** Returns the public id of the request's API key, unverified, or null. */
  readonly keyIdOf: (request: Request) => string | null;
  /** Returns the party (`partyOf`) of the request's key if it was verified recently, else null. */
  readonly ownerOf: (request: Request) => string | null;
  readonly refuse: (reason: Refusal) => Error;
  /** Milliseconds of the monotonic clock. */
  readonly nowMs: () => number;
}

const UPDATE_MS = 50;
/** After a longer idle period, earlier measurements are stale. */
const SILENCE_MS = 1000;
// Owners that use less than an equal part may exceed the limits of resources by half. The others are refused until they
// are met again.
const MODEST_ROOM = 1.5;
// For faster routes, checking the caller's deadline up front is not worth it.
const DEADLINE_MEDIAN_MS_MIN = 2;
const NOBODY = () => null;
const TURN_MS = 3_600_000;

/**
 * Admits or refuses every request, in well under a microsecond: by the permits of the cluster, the limits of the
 * resource and of this worker's event loop, the rank of the request, and the time it has left. The first request after
 * 50 ms updates the limits, so there is no timer and an idle worker does nothing.
 */
export class AdmissionControl implements Admission {
  readonly #options: AdmissionOptions;
  readonly #ranks: Uint8Array;
  readonly #limitOfRoute: readonly (AdaptiveLimit | null)[];
  readonly #resources: readonly { limit: AdaptiveLimit; times: readonly number[] }[];
  readonly #times: RouteTimes;
  readonly #owners = new OwnerLoad();
  readonly #bodies = new BodyShares((owner) => this.#options.loop.isLate && this.#owners.hasOthers(owner));
  readonly #chunks = new ChunkedBodies(() => this.#options.nowMs());
  readonly #inUse = new PermitsInUse();
  readonly #shares = new PermitShares(TIERS.length);
  readonly #cutoff = new Cutoff();
  readonly #decisions = new Float64Array(TIERS.length * DECISIONS.length);
  /** What the next functions look at. They are called only if a limit is reached. */
  #asking: Request | null = null;
  #beginning: Exchange | null = null;
  readonly #keyId = () => this.#options.keyIdOf(this.#asking!);
  readonly #owner = () => this.#options.ownerOf(this.#asking!);
  readonly #roomOfKey = () => (this.#owners.isModestKey(this.#keyId) ? MODEST_ROOM : 1);
  readonly #roomOfOwner = () => {
    const principal = this.#beginning!.principal;
    return principal !== null && this.#owners.isModest(partyOf(principal)) ? MODEST_ROOM : 1;
  };
  #cutoffLevel = 0;
  #isUnderPressure = false;
  /** Whether permits are divided among owners. */
  #isSharing = false;
  #turn = 0;
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

  /** Notes a request that needs no permit. */
  pass({ startMs }: Exchange): void {
    this.#options.loop.arrive(startMs, NOBODY);
  }

  /** Takes a permit and returns null, or returns the error that refuses the request. */
  admit(request: Request, exchange: Exchange): Error | null {
    const { permits, loop } = this.#options;
    const { route, startMs } = exchange;
    runLateTimers(startMs);
    if (startMs - this.#updatedMs >= UPDATE_MS) this.#update(startMs);
    const routeRank = this.#ranks[route.index]!;
    let rank = routeRank;
    this.#asking = request;
    loop.arrive(startMs, this.#owner);
    if (loop.yields(rank)) return this.#refuse(rank, 'loop');
    if (this.#isUnderPressure) {
      rank = rankOf(route.tier, request.headers.get('priority'));
      const isWithinPart = this.#isSharing && this.#shares.arrive(rank, this.#owner(), this.#keyId);
      // The cutoff is the cluster's: a worker that is not short itself leaves its permits to the others.
      if (this.#inUse.isShort || this.#cutoffLevel > 0) {
        const cohort = isWithinPart ? COHORTS - 1 : cohortOf(this.#options.keyIdOf(request), this.#turn);
        const level = rank * COHORTS + cohort;
        if (this.#inUse.isShort) this.#cutoff.arrived(level);
        if (level < this.#cutoffLevel) return this.#refuseOfOwner(routeRank, 'priority');
      }
    }
    if (this.#isHopeless(exchange)) return this.#refuse(routeRank, 'deadline');
    const free = this.#inUse.free(rank, permits.limitAt(startMs));
    if (free <= 0 || (this.#isSharing && !this.#shares.admits(free))) {
      this.#inUse.refuse();
      permits.runShort();
      return this.#refuseOfOwner(routeRank, 'permits');
    }
    const resource = this.#limitOfRoute[route.index]!;
    if (resource !== null && !resource.admits(rank, this.#roomOfKey))
      return this.#refuse(routeRank, 'resource');
    if (!loop.admits(rank)) return this.#refuse(routeRank, 'loop');
    loop.enter(rank);
    this.#inUse.enter();
    if (this.#inUse.isShort) this.#cutoff.admitted();
    if (this.#isSharing) exchange.permitUse = this.#shares.enter();
    this.#decisions[routeRank * DECISIONS.length]!++;
    return null;
  }

  /** Called before a body is read, with the size it declares, or 0. Returns the error that refuses it, or null. */
  expectBody(exchange: Exchange, declaredBytes: number): Error | null {
    const { route } = exchange;
    if (!route.sheddable) return null;
    if (!this.#bodies.hasRoom(exchange, declaredBytes))
      return this.#refuse(this.#ranks[route.index]!, 'share');
    const limit = this.#options.permits.limitAt(exchange.startMs);
    // While most permits are free, it does not matter who waits for a body.
    if (this.#inUse.inFlight * 2 <= limit || this.#bodies.startArriving(exchange, limit / 2)) return null;
    return this.#refuse(this.#ranks[route.index]!, 'share');
  }

  /** Called before a body in chunks arrives. Returns the error that refuses it, or null. */
  expectChunks(exchange: Exchange): Error | null {
    const refuse = () => this.#refuse(this.#ranks[exchange.route.index]!, 'chunks');
    return !exchange.route.sheddable || this.#chunks.start(exchange, refuse) ? null : refuse();
  }

  /** Called when a body of this size has arrived. Returns the error that refuses it, or null. */
  reserve(exchange: Exchange, bodyBytes: number): Error | null {
    const { route } = exchange;
    if (!route.sheddable || this.#bodies.reserveBytes(exchange, bodyBytes)) return null;
    return this.#refuse(this.#ranks[route.index]!, 'share');
  }

  /** Takes a slot at the route's resource and returns null, or returns the error that refuses the request. */
  begin(exchange: Exchange, nowMs = this.#options.nowMs()): Error | null {
    const { route, principal } = exchange;
    const resource = this.#limitOfRoute[route.index]!;
    const rank = this.#ranks[route.index]!;
    // The request was also counted as admitted, before its body arrived: published counters never decrease.
    this.#bodies.endArriving(exchange);
    this.#beginning = exchange;
    this.#options.loop.work(principal && partyOf(principal), nowMs);
    if (resource !== null && !resource.admits(rank, this.#roomOfOwner)) return this.#refuse(rank, 'resource');
    resource?.enter();
    // Without a resource, such as in an upload, most of the time belongs to the client.
    if (resource !== null && principal !== null) this.#owners.enter(principal);
    exchange.workStartedMs = nowMs;
    return null;
  }

  /** Releases the permit. `status` is the status of the response, or 0 if the handler threw. */
  release(exchange: Exchange, status: number, nowMs = this.#options.nowMs()): void {
    const { route, principal, workStartedMs } = exchange;
    this.#inUse.leave();
    if (exchange.permitUse !== null) exchange.permitUse.release();
    this.#bodies.release(exchange);
    exchange.chunks?.arrived();
    this.#options.loop.work(principal && partyOf(principal), nowMs);
    if (workStartedMs < 0) return;
    const resource = this.#limitOfRoute[route.index]!;
    resource?.leave();
    if (resource !== null && principal !== null) this.#owners.leave(partyOf(principal));
    this.#times.addResponse(route.index, status, nowMs - workStartedMs);
  }

  /** Refuses a request that is part of what its owner demands of the permits. */
  #refuseOfOwner(rank: number, reason: 'priority' | 'permits'): Error {
    if (this.#isSharing) this.#shares.refuse();
    return this.#refuse(rank, reason);
  }

  #refuse(rank: number, reason: Refusal): Error {
    this.#options.loop.noteRefusal(rank);
    this.#decisions[rank * DECISIONS.length + DECISIONS.indexOf(reason)]!++;
    return this.#options.refuse(reason);
  }

  /** Whether the deadline is shorter than the median response time of this route. */
  #isHopeless(exchange: Exchange): boolean {
    const { index, timeoutMs, streamsBody } = exchange.route;
    // The duration of an upload depends on its sender and predicts nothing.
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
    const isStale = nowMs - this.#updatedMs > SILENCE_MS;
    if (isStale) this.#resetAfterIdle();
    this.#updatedMs = nowMs;
    this.#owners.update(nowMs);
    this.#bodies.update(elapsedMs);
    const loop = this.#options.loop.update(elapsedMs, isStale);
    for (const { limit, times } of this.#resources)
      limit.update(elapsedMs, this.#times.take(times, limit.peakInFlight), loop);
    const limit = this.#options.permits.limitAt(nowMs);
    const wasShort = this.#inUse.update(limit);
    if (this.#inUse.isShort) this.#cutoff.update(elapsedMs / 1000, wasShort);
    else this.#cutoff.reset();
    this.#cutoffLevel = this.#options.permits.cutoffAt(nowMs) ?? this.#cutoff.level;
    this.#shares.update(elapsedMs, limit);
    this.#isSharing = this.#inUse.isCrowded || this.#cutoffLevel > 0;
    this.#turn = Math.floor(Date.now() / TURN_MS);
    this.#isUnderPressure =
      this.#isSharing ||
      this.#options.loop.limit !== Number.POSITIVE_INFINITY ||
      this.#resources.some(({ limit }) => limit.isEngaged);
  }

  /** Clears the signs of a queue after an idle period. Requests in flight still count. */
  #resetAfterIdle(): void {
    for (const { limit } of this.#resources) limit.disengage();
    this.#inUse.reset();
  }

  #catchUp(): void {
    const nowMs = this.#options.nowMs();
    if (nowMs - this.#updatedMs >= UPDATE_MS) this.#update(nowMs);
  }

  #demand() {
    this.#catchUp();
    return {
      inFlight: this.#inUse.inFlight,
      wanted: this.#inUse.wanted,
      cutoff: this.#cutoff.level,
      arrivals: Math.round(this.#cutoff.arrivalsPerSecond),
    };
  }

  /** Current state, for metrics and status. */
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
      inFlight: this.#inUse.inFlight,
      decisions,
      resources: this.#resources.map(({ limit }) => ({
        name: limit.name,
        inFlight: limit.inFlight,
        limit: limit.limit,
        isEngaged: limit.isEngaged,
      })),
      loopLimit: this.#options.loop.limit,
      loopDelayMs: this.#options.loop.state.delayMs,
      cutoffLevel: this.#cutoffLevel,
    };
  }
}
