import { Exchange } from '../../../src/envelope/exchange.ts';
import { LoopDelays } from '../../../src/instrumentation/event-loop.ts';
import { AdmissionControl } from '../../../src/shedding/admission.ts';
import { LoopLimit } from '../../../src/shedding/loop-limit.ts';
import { StaticShare } from '../../../src/shedding/static-share.ts';
import { routeOf } from '../../support/exchange.ts';

/** The cost of one decision in nanoseconds, as JSON on standard output. */
export interface DecisionReport {
  /** Admitting a request and releasing its permit, far from every limit. */
  readonly admitNanos: number;
  /** The same while requests are refused for lack of permits, so that every rank is checked. */
  readonly pressedNanos: number;
  /** Refusing a request, without writing the response. */
  readonly refuseNanos: number;
}

const WARM_UP = 200_000;
const TIMES = 1_000_000;
const ROUNDS = 5;
const OK = 200;
const CAP = 1000;

// The clock is read for each request, as in the envelope. The cost of creating the exchange is measured and subtracted:
// it is not part of the decision.
const route = routeOf({ pattern: '/v1/things', tier: 'critical', resource: 'database' });
const request = new Request('http://127.0.0.1/v1/things');
const refusal = new Error('refused');
const exchange = () => new Exchange(request, route, performance.now());

function admission(cap: number) {
  return new AdmissionControl({
    permits: new StaticShare(cap, 1, cap),
    routes: [route],
    loop: new LoopLimit(new LoopDelays().takeMeanMs),
    keyIdOf: () => null,
    ownerOf: () => null,
    refuse: () => refusal,
    nowMs: () => performance.now(),
  });
}

/** Returns the best of several rounds: other load on the machine can only slow a round down. */
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

// The only permit is held: every other request is refused.
const full = admission(1);
full.admit(request, exchange());
const refuseNanos = nanos(() => void full.admit(request, exchange()));

// Two permits, one of them free, and occasional refusals: admitted requests under pressure.
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
