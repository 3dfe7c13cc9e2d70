import { describe, expect, test } from 'bun:test';
import { Exchange } from '../../../src/envelope/exchange.ts';
import { AdmissionControl } from '../../../src/shedding/admission.ts';
import { LoopLimit } from '../../../src/shedding/loop-limit.ts';
import { StaticShare } from '../../../src/shedding/static-share.ts';
import { routeOf } from '../../support/exchange.ts';
import { principalOf } from '../../support/principal.ts';

const PAYMENT = routeOf({ index: 0, tier: 'critical', resource: 'ledger' });
const READ = routeOf({ index: 1, tier: 'default', resource: 'database' });
const COMPUTED = routeOf({ index: 2, tier: 'default', resource: null });
const UNMATCHED = routeOf({ index: 3, tier: 'default', resource: null, scope: null });

const PERMITS = 1000;
const TURNS = 60;
const WARM_UP = 20;
const PER_TURN = 60;
const OTHERS_PER_TURN = 4;
const REFUSAL_MS = 0.02;
const OTHER_MS = 0.2;

const FLOOD = 'flood';
const OTHER = 'other';

/** A request of the flood, in steps of a worker whose time the test moves. */
interface Flooding {
  readonly route: typeof PAYMENT;
  /** Whether its key is that of the flood, not none, or an invented one. */
  readonly hasKey?: boolean;
  readonly status: number;
  readonly costMs: number;
  /** Whether it fails before its work begins. */
  readonly isEarly?: boolean;
  /** Whether its result arrives later, when the requests of the turn were read. */
  readonly isLater?: boolean;
}

/** Runs turns of one loop, in which the flood arrives first. Returns the shares that were refused. */
async function floodWith({ route, hasKey = true, status, costMs, isEarly, isLater }: Flooding) {
  let nowMs = 0;
  let turnMs = 0;
  let isFirst = true;
  const admission = new AdmissionControl({
    permits: new StaticShare(PERMITS, 1, PERMITS),
    routes: [PAYMENT, READ, COMPUTED, UNMATCHED],
    loop: new LoopLimit(() => turnMs),
    keyIdOf: (request) => request.headers.get('authorization'),
    ownerOf: (request) => request.headers.get('authorization'),
    refuse: (reason) => new Error(reason),
    nowMs: () => nowMs,
  });
  const refused = { [FLOOD]: 0, [OTHER]: 0 };
  const count = (owner: typeof FLOOD | typeof OTHER) => {
    if (!isFirst) refused[owner]++;
  };
  const start = (owner: string | null, entered: typeof PAYMENT) => {
    const headers: Record<string, string> = owner === null ? {} : { authorization: owner };
    const request = new Request('http://atlas.test/things', { headers });
    const exchange = new Exchange(request, entered, nowMs);
    if (admission.admit(request, exchange) !== null) {
      nowMs += REFUSAL_MS;
      return null;
    }
    if (owner !== null) exchange.principal = principalOf(owner);
    return exchange;
  };
  const later: (() => void)[] = [];
  const flood = () => {
    const exchange = start(hasKey ? FLOOD : null, route);
    if (exchange === null) return count(FLOOD);
    if (!isEarly) admission.begin(exchange, nowMs);
    const end = () => {
      nowMs += costMs;
      admission.release(exchange, status, nowMs);
    };
    if (isLater) later.push(end);
    else end();
  };
  const other = () => {
    const exchange = start(OTHER, PAYMENT);
    if (exchange === null) return count(OTHER);
    nowMs += OTHER_MS / 2;
    admission.begin(exchange, nowMs);
    later.push(() => {
      nowMs += OTHER_MS / 2;
      admission.release(exchange, 201, nowMs);
    });
  };
  for (let turn = 0; turn < TURNS; turn++) {
    isFirst = turn < WARM_UP;
    const startMs = nowMs;
    for (let i = 0; i < PER_TURN; i++) flood();
    for (let i = 0; i < OTHERS_PER_TURN; i++) other();
    for (const end of later.splice(0)) end();
    turnMs = nowMs - startMs;
    // A turn waits for what arrives.
    nowMs += 1;
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  const turns = TURNS - WARM_UP;
  return { flood: refused[FLOOD] / (turns * PER_TURN), other: refused[OTHER] / (turns * OTHERS_PER_TURN) };
}

describe('payments of others are served, and the flood is refused, while the loop is late because of', () => {
  const KINDS: Record<string, Flooding> = {
    'bodies that fail validation': { route: PAYMENT, status: 400, costMs: 4, isEarly: true },
    'bodies that fail validation in the handler': { route: PAYMENT, status: 422, costMs: 4 },
    'reads from a cache': { route: COMPUTED, status: 200, costMs: 4 },
    'paths that do not exist': { route: UNMATCHED, hasKey: false, status: 404, costMs: 4, isEarly: true },
    'invented keys': { route: READ, hasKey: false, status: 401, costMs: 4, isEarly: true, isLater: true },
    'large pages': { route: READ, status: 200, costMs: 15, isLater: true },
    'pages for callers that disconnect': { route: READ, status: 499, costMs: 15, isLater: true },
  };

  test.each(Object.entries(KINDS))('%s', async (_, kind) => {
    const refused = await floodWith(kind);
    expect(refused.flood).toBeGreaterThan(0.4);
    expect(refused.other).toBeLessThan(0.02);
  });
});
