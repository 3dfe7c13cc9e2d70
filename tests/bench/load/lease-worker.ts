import { openRedis } from '../../../src/adapters/redis/redis.ts';
import { RedisLeaseStore } from '../../../src/adapters/redis/redis-lease-store.ts';
import { Exchange } from '../../../src/envelope/exchange.ts';
import { LoopDelays } from '../../../src/instrumentation/event-loop.ts';
import { AdmissionControl } from '../../../src/shedding/admission.ts';
import { LEASE_ACCOUNT_SCRIPT } from '../../../src/shedding/lease-script.ts';
import { LoopLimit } from '../../../src/shedding/loop-limit.ts';
import { SharedLeases } from '../../../src/shedding/shared-leases.ts';
import { routeOf } from '../../support/exchange.ts';

/** The work of a worker, as JSON in its first argument. */
export interface LeaseOrder {
  readonly redisUrl: string;
  readonly prefix: string;
  readonly cap: number;
  readonly workerId: string;
  readonly workers: number;
  /** Requests in flight if none were refused. */
  readonly demand: number;
  /** Mean time for which a request holds its permit. */
  readonly holdMs: number;
}

/** The state of one worker, as a line of JSON every 10 ms. */
export interface LeaseLine {
  /** Milliseconds since 1970. */
  readonly atMs: number;
  readonly limit: number;
  /** Mean and maximum since the last line. */
  readonly inFlight: number;
  readonly inFlightMax: number;
  /** Since the start. */
  readonly arrived: number;
  readonly commands: number;
}

const TICK_MS = 1;
const LINE_EVERY_MS = 10;
const OK = 200;
const REDIS_TIMEOUT_MS = 500;
const RISE_AFTER_MS = 40_000;
const HOLDS = 4096;

// Real admission control over real permits. Only the requests are synthetic: they arrive at a fixed rate, and hold their
// permit for 0.5 to 1.5 times the mean.
const order = JSON.parse(process.argv[2]!) as LeaseOrder;
const redis = openRedis({ url: order.redisUrl, timeoutMs: REDIS_TIMEOUT_MS });
const permits = new SharedLeases({
  store: new RedisLeaseStore({ redis, script: LEASE_ACCOUNT_SCRIPT, prefix: order.prefix }),
  workerId: order.workerId,
  cap: order.cap,
  fallbackWorkers: order.workers,
  riseAfterMs: RISE_AFTER_MS,
});
const route = routeOf({ pattern: '/v1/things', tier: 'critical', resource: null });
const request = new Request('http://127.0.0.1/v1/things');
const refusal = new Error('refused');
const admission = new AdmissionControl({
  permits,
  routes: [route],
  loop: new LoopLimit(new LoopDelays().takeMeanMs),
  keyIdOf: () => null,
  ownerOf: () => null,
  refuse: () => refusal,
  nowMs: () => performance.now(),
});

// Admitted requests by end time, in buckets of a millisecond: one timer serves all of them.
const ending: Exchange[][] = Array.from({ length: HOLDS }, () => []);
let inFlight = 0;
let endedMs = Math.floor(performance.now());
let tickedMs = performance.now();
let due = 0;
let arrived = 0;
let area = 0;
let inFlightMax = 0;
let reportedMs = performance.now();

function tick(): void {
  const nowMs = performance.now();
  area += inFlight * (nowMs - tickedMs);
  due += (order.demand / order.holdMs) * (nowMs - tickedMs);
  tickedMs = nowMs;
  for (; endedMs < Math.floor(nowMs); endedMs++) {
    const bucket = ending[endedMs % HOLDS]!;
    for (const exchange of bucket) admission.release(exchange, OK);
    inFlight -= bucket.length;
    bucket.length = 0;
  }
  for (; due >= 1; due--) {
    arrived++;
    const exchange = new Exchange(request, route, performance.now());
    if ((admission.admit(request, exchange) ?? admission.begin(exchange)) !== null) continue;
    inFlight++;
    const holdMs = order.holdMs * (0.5 + Math.random());
    ending[Math.ceil(nowMs + holdMs) % HOLDS]!.push(exchange);
  }
  inFlightMax = Math.max(inFlightMax, inFlight);
}

function report(): void {
  const nowMs = performance.now();
  const { limit, commands } = permits.stats();
  const mean = area / (nowMs - reportedMs);
  const line: LeaseLine = {
    atMs: performance.timeOrigin + nowMs,
    limit,
    inFlight: mean,
    inFlightMax,
    arrived,
    commands,
  };
  area = 0;
  inFlightMax = inFlight;
  reportedMs = nowMs;
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

setInterval(tick, TICK_MS);
setInterval(report, LINE_EVERY_MS);
