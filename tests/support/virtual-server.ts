import { Exchange, type MatchedRoute } from '../../src/envelope/exchange.ts';
import { AdmissionControl } from '../../src/shedding/admission.ts';
import { LoopLimit } from '../../src/shedding/loop-limit.ts';
import type { PermitSource } from '../../src/shedding/permit-source.ts';
import type { ResourceTraits } from '../../src/shedding/resource-traits.ts';
import { StaticShare } from '../../src/shedding/static-share.ts';
import type { Tier } from '../../src/utils/tier.ts';
import { routeOf } from './exchange.ts';
import { principalOf } from './principal.ts';

/** A request that the virtual server served or refused. Times are virtual milliseconds. */
export interface Served {
  readonly tier: Tier;
  readonly atMs: number;
  /** Latency of the response. Null if the request was refused. */
  readonly tookMs: number | null;
  readonly owner: string;
}

/** Requests per second by tier, until a time. */
export interface Phase {
  readonly untilMs: number;
  readonly perSecond: Partial<Record<Tier, number>>;
}

/** The bottleneck: `slots` requests are served at a time. */
export interface Bottleneck {
  readonly slots: number;
  readonly serviceMs: (nowMs: number, inFlight: number, tier: Tier, random: () => number) => number;
  /** The status by service time. 200 by default; 0 stands for a handler that threw. */
  readonly statusOf?: (serviceMs: number) => number;
}

/** A bottleneck that serves what waits in batches, one after the other. */
export interface BatchBottleneck {
  readonly itemsMax: number;
  readonly batchMs: (nowMs: number, items: number) => number;
}

/** Requests per second of all tiers, mixed as in the benchmark: 10 % critical, 60 % default, 30 % non-critical. */
export function mixed(perSecond: number): Record<Tier, number> {
  return { critical: 0.1 * perSecond, default: 0.6 * perSecond, 'non-critical': 0.3 * perSecond };
}

interface Event {
  readonly atMs: number;
  readonly run: () => void;
}

/** Returns a generator of the same random numbers in every run (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/**
 * Real admission control in front of a simulated bottleneck, on a virtual clock with open-loop load (Poisson arrivals): a
 * minute takes a moment, with the same result each time.
 */
export function serveVirtually(options: {
  readonly phases: readonly Phase[];
  readonly bottleneck: Bottleneck | BatchBottleneck;
  readonly traits?: ResourceTraits;
  readonly permits?: PermitSource;
  readonly seed?: number;
  /** Returns who sends the next request, with a key of their own. By default, nobody has a key. */
  readonly ownerOf?: (random: () => number) => string;
  readonly onUpdate?: (nowMs: number, admission: AdmissionControl) => void;
}): Served[] {
  const {
    phases,
    bottleneck,
    traits = {},
    permits = new StaticShare(1000, 1, 1000),
    seed = 1,
    ownerOf,
  } = options;
  const random = randomOf(seed);
  const tiers: readonly Tier[] = ['critical', 'default', 'non-critical'];
  const routes: readonly MatchedRoute[] = tiers.map((tier, index) =>
    routeOf({ index, tier, resource: 'database' }),
  );
  let nowMs = 0;
  const admission = new AdmissionControl({
    permits,
    routes,
    loop: new LoopLimit(() => 0),
    traits: { database: traits },
    keyIdOf: (request) => request.headers.get('authorization') ?? `key-${Math.floor(random() * 100)}`,
    ownerOf: (request) => request.headers.get('authorization'),
    refuse: (reason) => new Error(reason),
    nowMs: () => nowMs,
  });
  const events = new Events();
  const served: Served[] = [];
  let inFlight = 0;
  const varied = (ms: number) => ms * (0.9 + 0.2 * random());
  const later = (ms: number, run: () => void) => events.add(nowMs + ms, run);
  const serve =
    'itemsMax' in bottleneck
      ? inBatches(bottleneck.itemsMax, (items) => varied(bottleneck.batchMs(nowMs, items)), later)
      : inSlots(bottleneck, (tier) => varied(bottleneck.serviceMs(nowMs, inFlight, tier, random)), later);
  const arrive = (route: MatchedRoute) => {
    const owner = ownerOf?.(random) ?? '';
    const request = new Request(
      'http://atlas.test/things',
      owner ? { headers: { authorization: owner } } : {},
    );
    const exchange = new Exchange(request, route, nowMs);
    if (owner) exchange.principal = principalOf(owner);
    if (enter(admission, request, exchange) !== null) {
      served.push({ tier: route.tier, atMs: nowMs, tookMs: null, owner });
      return;
    }
    inFlight++;
    const done = (status: number) => {
      inFlight--;
      admission.release(exchange, status);
      served.push({ tier: route.tier, atMs: exchange.startMs, tookMs: nowMs - exchange.startMs, owner });
    };
    serve(route.tier, done);
  };
  for (const route of routes) {
    let atMs = 0;
    for (const { untilMs, perSecond } of phases) {
      const rate = perSecond[route.tier] ?? 0;
      while (rate > 0) {
        atMs += (-Math.log(1 - random()) * 1000) / rate;
        if (atMs > untilMs) break;
        events.add(atMs, () => arrive(route));
      }
      atMs = untilMs;
    }
  }
  let shownMs = 0;
  for (let event = events.next(); event !== null; event = events.next()) {
    nowMs = event.atMs;
    event.run();
    if (options.onUpdate && nowMs >= shownMs) {
      options.onUpdate(nowMs, admission);
      shownMs = nowMs + 50;
    }
  }
  return served;
}

type Serve = (tier: Tier, done: (status: number) => void) => void;
type Later = (ms: number, run: () => void) => void;

function inSlots({ slots, statusOf }: Bottleneck, serviceMsOf: (tier: Tier) => number, later: Later): Serve {
  const waiting: (() => void)[] = [];
  let working = 0;
  const work = (tier: Tier, done: (status: number) => void) => {
    working++;
    const serviceMs = serviceMsOf(tier);
    later(serviceMs, () => {
      working--;
      done(statusOf?.(serviceMs) ?? 200);
      waiting.shift()?.();
    });
  };
  return (tier, done) => {
    if (working < slots) work(tier, done);
    else waiting.push(() => work(tier, done));
  };
}

function inBatches(itemsMax: number, batchMsOf: (items: number) => number, later: Later): Serve {
  const waiting: ((status: number) => void)[] = [];
  let isBusy = false;
  const next = () => {
    const batch = waiting.splice(0, itemsMax);
    isBusy = batch.length > 0;
    if (!isBusy) return;
    later(batchMsOf(batch.length), () => {
      for (const done of batch) done(200);
      next();
    });
  };
  return (_, done) => {
    waiting.push(done);
    if (!isBusy) next();
  };
}

/** Events ordered by time (a binary heap). */
class Events {
  readonly #heap: Event[] = [];

  add(atMs: number, run: () => void): void {
    const heap = this.#heap;
    let at = heap.push({ atMs, run }) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (heap[parent]!.atMs <= heap[at]!.atMs) break;
      [heap[parent], heap[at]] = [heap[at]!, heap[parent]!];
      at = parent;
    }
  }

  next(): Event | null {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined) return null;
    if (heap.length === 0) return first;
    heap[0] = last;
    for (let at = 0; ; ) {
      const left = 2 * at + 1;
      const right = left + 1;
      let least = at;
      if (left < heap.length && heap[left]!.atMs < heap[least]!.atMs) least = left;
      if (right < heap.length && heap[right]!.atMs < heap[least]!.atMs) least = right;
      if (least === at) return first;
      [heap[least], heap[at]] = [heap[at]!, heap[least]!];
      at = least;
    }
  }
}

/** Returns statistics of a span of virtual time. */
export function summary(served: readonly Served[], fromMs: number, toMs: number, withinMs = 200) {
  const span = served.filter(({ atMs }) => atMs >= fromMs && atMs < toMs);
  const took = span.flatMap(({ tookMs }) => tookMs ?? []).sort((a, b) => a - b);
  const good = took.filter((ms) => ms <= withinMs).length;
  const success = (tier: Tier) => {
    const all = span.filter((request) => request.tier === tier);
    return all.length === 0
      ? 1
      : all.filter(({ tookMs }) => tookMs !== null && tookMs <= withinMs).length / all.length;
  };
  return {
    goodPerSecond: (good * 1000) / (toMs - fromMs),
    p50Ms: took[Math.floor(took.length * 0.5)] ?? 0,
    p99Ms: took[Math.floor(took.length * 0.99)] ?? 0,
    critical: success('critical'),
    default: success('default'),
    nonCritical: success('non-critical'),
  };
}

/** Admits a request as the envelope does. Returns the refusal, or null. */
export function enter(admission: AdmissionControl, request: Request, exchange: Exchange): Error | null {
  const refusal = admission.admit(request, exchange);
  if (refusal !== null) return refusal;
  const late = admission.begin(exchange);
  if (late !== null) admission.release(exchange, 0);
  return late;
}
