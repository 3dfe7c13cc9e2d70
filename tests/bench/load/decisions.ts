import { Exchange, type MatchedRoute } from '../../../src/envelope/exchange.ts';
import { eventLoopDelayMs } from '../../../src/instrumentation/event-loop.ts';
import { AdmissionControl } from '../../../src/shedding/admission.ts';
import { LoopLimit } from '../../../src/shedding/loop-limit.ts';
import { StaticShare } from '../../../src/shedding/static-share.ts';

/** What one decision costs, in nanoseconds, as JSON on the standard output. */
export interface DecisionReport {
  /** Admitting a request and taking its permit back, with every limit out of the way. */
  readonly admitNanos: number;
  /** The same while requests are refused for want of permits, so that the rank of each is looked at. */
  readonly pressedNanos: number;
  /** Refusing one, without writing its answer. */
  readonly refuseNanos: number;
}

const WARM_UP = 200_000;
const TIMES = 1_000_000;
const ROUNDS = 5;
const OK = 200;
const CAP = 1000;

// The clock is read for each request, as the envelope does; the exchange and the request are made once, for making them
// is no part of the decision.
const route: MatchedRoute = {
  index: 0,
  method: 'GET',
  pattern: '/v1/things',
  tier: 'critical',
  scope: null,
  sheddable: true,
  resource: 'database',
  timeoutMs: 30_000,
  bodyLimitBytes: 1024,
  streamsBody: false,
  compressible: false,
};
const request = new Request('http://127.0.0.1/v1/things');
const refusal = new Error('refused');
const exchange = () => new Exchange(request, route, performance.now());

function admission(cap: number) {
  return new AdmissionControl({
    permits: new StaticShare(cap, 1, cap),
    routes: [route],
    loop: new LoopLimit(eventLoopDelayMs()),
    keyIdOf: () => null,
    refuse: () => refusal,
    nowMs: () => performance.now(),
  });
}

/** The best of some rounds: whatever else runs on the machine only makes a round slower. */
function nanos(step: () => void): number {
  for (let i = 0; i < WARM_UP; i++) step();
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const startMs = performance.now();
    for (let i = 0; i < TIMES; i++) step();
    best = Math.min(best, ((performance.now() - startMs) * 1e6) / TIMES);
  }
  return best;
}

const given = nanos(() => void exchange());

const calm = admission(CAP);
const admitNanos = nanos(() => {
  const one = exchange();
  if ((calm.admit(request, one) ?? calm.begin(one)) === null) calm.release(one, OK);
});

// One permit, which is held: every other request is refused, so the admission is pressed.
const full = admission(1);
full.admit(request, exchange());
const refuseNanos = nanos(() => void full.admit(request, exchange()));

// Two permits, of which one is free, and a refusal now and then: admitted requests under pressure.
const pressed = admission(2);
const held = exchange();
pressed.admit(request, held);
let turn = 0;
const pressedNanos = nanos(() => {
  const one = exchange();
  if ((pressed.admit(request, one) ?? pressed.begin(one)) === null) {
    if (turn++ % 1000 === 0) pressed.admit(request, exchange());
    pressed.release(one, OK);
  }
});

const report: DecisionReport = {
  admitNanos: admitNanos - given,
  pressedNanos: pressedNanos - given,
  refuseNanos: refuseNanos - given,
};
console.log(JSON.stringify(report));
process.exit();
