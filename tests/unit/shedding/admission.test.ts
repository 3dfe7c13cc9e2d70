import { describe, expect, test } from 'bun:test';
import { Exchange, type MatchedRoute } from '../../../src/envelope/exchange.ts';
import { AdmissionControl } from '../../../src/shedding/admission.ts';
import type { Decision } from '../../../src/shedding/decision.ts';
import { LoopLimit } from '../../../src/shedding/loop-limit.ts';
import type { PermitDemand } from '../../../src/shedding/permit-source.ts';
import { COHORTS } from '../../../src/shedding/priority.ts';
import { StaticShare } from '../../../src/shedding/static-share.ts';
import { TIERS } from '../../../src/utils/tier.ts';
import { routeOf } from '../../support/exchange.ts';
import { principalOf } from '../../support/principal.ts';
import { enter } from '../../support/virtual-server.ts';

const ROUTES = TIERS.map((tier, index) => routeOf({ index, tier }));
const [NON_CRITICAL, DEFAULT, CRITICAL] = ROUTES as [MatchedRoute, MatchedRoute, MatchedRoute];
const UPDATE_MS = 50;

/** Admission on a clock that the test moves. */
function startAdmission(permits: number, routes: readonly MatchedRoute[] = ROUTES) {
  let nowMs = 0;
  const share = new StaticShare(permits, 1, permits);
  const shortages: number[] = [];
  share.runShort = () => shortages.push(nowMs);
  let loopDelayMs = 0;
  const admission = new AdmissionControl({
    permits: share,
    routes,
    loop: new LoopLimit(() => loopDelayMs),
    keyIdOf: (request) => request.headers.get('authorization'),
    ownerOf: (request) => request.headers.get('authorization'),
    refuse: (reason) => new Error(reason),
    nowMs: () => nowMs,
  });
  const send = (route: MatchedRoute, headers: Record<string, string> = {}) => {
    const request = new Request('http://atlas.test/things', { headers });
    const exchange = new Exchange(request, route, nowMs);
    return { exchange, refusal: enter(admission, request, exchange)?.message ?? null };
  };
  return {
    admission,
    share,
    shortages,
    /** Sends a request; returns its exchange, and the reason of the refusal or null. */
    send,
    /** Sends this many requests, and returns those that were admitted. */
    fill(count: number, route = CRITICAL): Exchange[] {
      const sent = Array.from({ length: count }, () => send(route));
      return sent.filter(({ refusal }) => refusal === null).map(({ exchange }) => exchange);
    },
    pass: (ms: number) => {
      nowMs += ms;
    },
    /** Sends requests that take this long, one after the other. */
    serve(route: MatchedRoute, tookMs: number, count: number, status = 200) {
      for (let i = 0; i < count; i++) {
        const { exchange } = send(route);
        nowMs += tookMs;
        admission.release(exchange, status);
      }
    },
    delayLoop: (ms: number) => {
      loopDelayMs = ms;
    },
    count: (tier: string, decision: Decision) =>
      admission.stats().decisions.find((found) => found.tier === tier && found.decision === decision)!.count,
  };
}

describe('permits', () => {
  test('bound the requests in flight, and are released when requests end', () => {
    const { fill, send, admission } = startAdmission(10);
    const admitted = fill(15);
    expect(admitted).toHaveLength(10);
    expect(send(CRITICAL).refusal).toBe('permits');
    admission.release(admitted[0]!, 200);
    expect(send(CRITICAL).refusal).toBeNull();
    expect(send(CRITICAL).refusal).toBe('permits');
    expect(admission.stats().inFlight).toBe(10);
  });

  test('are reserved for more important tiers when they are nearly used up', () => {
    const { fill, send } = startAdmission(100);
    expect(fill(200, NON_CRITICAL)).toHaveLength(96);
    expect(send(NON_CRITICAL).refusal).toBe('permits');
    expect(fill(200, DEFAULT)).toHaveLength(2);
    expect(fill(200, CRITICAL)).toHaveLength(2);
  });

  test('are released however a request ended', () => {
    const { fill, admission } = startAdmission(10);
    const statuses = [0, 200, 304, 400, 401, 404, 429, 499, 500, 504];
    for (const [i, exchange] of fill(10).entries()) admission.release(exchange, statuses[i]!);
    expect(admission.stats().inFlight).toBe(0);
    expect(fill(20)).toHaveLength(10);
  });

  test('that run short are reported to their source', () => {
    const { fill, shortages } = startAdmission(5);
    fill(5);
    expect(shortages).toEqual([]);
    fill(3);
    expect(shortages).toHaveLength(3);
  });

  test('withdrawn by their source are refused immediately, and requests in flight continue', () => {
    const { fill, send, share, admission } = startAdmission(10);
    fill(8);
    share.setShare(4);
    expect(send(CRITICAL).refusal).toBe('permits');
    expect(admission.stats().inFlight).toBe(8);
  });
});

describe('while permits run short', () => {
  /** 40 rounds of 50 ms with a hundred requests of each tier from many keys, of which 60 are served per round. */
  function overload(server: ReturnType<typeof startAdmission>) {
    let admitted: Exchange[] = [];
    for (let round = 0; round < 40; round++) {
      for (const exchange of admitted) server.admission.release(exchange, 200);
      admitted = [];
      for (let i = 0; i < 100; i++) {
        for (const route of ROUTES) {
          const sent = server.send(route, { authorization: `key${(i * 7 + round) % 50}` });
          if (sent.refusal === null) admitted.push(sent.exchange);
        }
      }
      server.pass(UPDATE_MS);
    }
    for (const exchange of admitted) server.admission.release(exchange, 200);
  }

  test('lower levels are refused by rank, before they take the permits of others', () => {
    const server = startAdmission(60);
    overload(server);
    expect(server.admission.stats().cutoffLevel).toBeGreaterThan(2 * COHORTS - 1);
    expect(server.send(NON_CRITICAL, { authorization: 'key1' }).refusal).toBe('priority');
    expect(server.send(DEFAULT, { authorization: 'key1' }).refusal).toBe('priority');
    expect(server.count('critical', 'admitted')).toBeGreaterThan(server.count('default', 'admitted') * 3);
  });

  test('a caller that lowers its priority is refused first, and raising it gains nothing', () => {
    const server = startAdmission(150);
    overload(server);
    const cohortKey = { authorization: 'key1' };
    expect(server.admission.stats().cutoffLevel).toBeLessThan(2 * COHORTS);
    expect(server.send(CRITICAL, cohortKey).refusal).toBeNull();
    expect(server.send(CRITICAL, { ...cohortKey, priority: 'u=7' }).refusal).toBe('priority');
    expect(server.send(NON_CRITICAL, { ...cohortKey, priority: 'u=0' }).refusal).toBe('priority');
    expect(server.count('critical', 'priority')).toBe(1);
  });

  test('refusals end with the shortage, and no outdated cutoff is applied', () => {
    const server = startAdmission(60);
    overload(server);
    // Most of the load disappears from one moment to the next.
    for (let i = 0; i < 30; i++) {
      server.pass(UPDATE_MS);
      server.serve(CRITICAL, 1, 1);
    }
    expect(server.admission.stats().cutoffLevel).toBe(0);
    expect(server.send(NON_CRITICAL).refusal).toBeNull();
  });
});

describe('a request that cannot complete in time', () => {
  const hurried = { 'x-envoy-expected-rq-timeout-ms': '10' };

  test('is refused if half of the responses take longer', () => {
    const server = startAdmission(10);
    expect(server.send(DEFAULT, hurried).refusal).toBeNull();
    server.serve(DEFAULT, 40, 50);
    expect(server.send(DEFAULT, hurried).refusal).toBe('deadline');
    expect(server.send(DEFAULT, { 'grpc-timeout': '10m' }).refusal).toBe('deadline');
    expect(server.send(DEFAULT, { 'grpc-timeout': '1S' }).refusal).toBeNull();
    expect(server.send(DEFAULT).refusal).toBeNull();
    expect(server.send(CRITICAL, hurried).refusal).toBeNull();
    expect(server.count('default', 'deadline')).toBe(2);
  });

  test('takes no permit', () => {
    const server = startAdmission(10);
    server.serve(DEFAULT, 40, 50);
    server.send(DEFAULT, hurried);
    expect(server.admission.stats().inFlight).toBe(0);
  });

  test('is admitted now and then, to check that it still cannot', () => {
    const server = startAdmission(10);
    server.serve(DEFAULT, 40, 50);
    let refused = 0;
    while (server.send(DEFAULT, hurried).refusal === 'deadline') refused++;
    expect(refused).toBeWithin(10, 1000);
  });

  test('is not recognized by unsuccessful responses', () => {
    const server = startAdmission(10);
    for (const status of [0, 404, 422, 499, 500, 503]) server.serve(DEFAULT, 400, 50, status);
    expect(server.send(DEFAULT, hurried).refusal).toBeNull();
    server.serve(DEFAULT, 40, 50);
    for (const status of [0, 404, 422, 499, 500, 503]) server.serve(DEFAULT, 1, 50, status);
    expect(server.send(DEFAULT, hurried).refusal).toBe('deadline');
  });
});

test('responses cut off at a short deadline do not count as fast', () => {
  const server = startAdmission(10);
  server.serve(DEFAULT, 40, 50);
  server.serve(DEFAULT, 5, 200, 504);
  expect(server.send(DEFAULT, { 'grpc-timeout': '10m' }).refusal).toBe('deadline');
});

test('responses cut off after longer than usual do count as slow', () => {
  const server = startAdmission(10);
  server.serve(DEFAULT, 40, 50);
  server.serve(DEFAULT, 400, 100, 504);
  expect(server.send(DEFAULT, { 'grpc-timeout': '100m' }).refusal).toBe('deadline');
});

test('a late event loop refuses requests, with its own reason', () => {
  const server = startAdmission(1000);
  server.delayLoop(100);
  server.fill(1);
  server.pass(UPDATE_MS);
  server.fill(100);
  server.pass(UPDATE_MS);
  server.fill(100);
  server.pass(UPDATE_MS);
  expect(server.send(NON_CRITICAL).refusal).toBe('loop');
  expect(server.admission.stats().loopDelayMs).toBe(100);
  expect(server.admission.stats().inFlight).toBeLessThan(201);
});

test('demand is reported to the source of permits, and falls with the load', () => {
  let read: () => PermitDemand = () => {
    throw new Error('Demand is not observed yet.');
  };
  const share = new StaticShare(10, 1, 10);
  share.observe = (given) => {
    read = given;
  };
  let nowMs = 0;
  const admission = new AdmissionControl({
    permits: share,
    routes: ROUTES,
    loop: new LoopLimit(() => 0),
    keyIdOf: () => null,
    ownerOf: () => null,
    refuse: (reason) => new Error(reason),
    nowMs: () => nowMs,
  });
  const request = new Request('http://atlas.test/things');
  const sent = Array.from({ length: 30 }, () => new Exchange(request, CRITICAL, 0));
  const admitted = sent.filter((exchange) => enter(admission, request, exchange) === null);
  nowMs = 50;
  expect(read().inFlight).toBe(10);
  // The ten that were admitted, and the twenty that were refused.
  expect(read().wanted).toBeWithin(30, 50);
  for (const exchange of admitted) admission.release(exchange, 200);
  for (let i = 0; i < 60; i++) {
    nowMs += 50;
    read();
  }
  expect(read()).toMatchObject({ inFlight: 0, cutoff: 0, arrivals: 0 });
  expect(read().wanted).toBeWithin(1, 6);
});

describe('while the loop is late', () => {
  const LARGE = 200_000;
  const ROUTE = routeOf({ index: 0, tier: 'critical', resource: 'database' });

  /** Sends requests with large bodies of this owner that are refused by validation. Returns how many were read. */
  function startInvalid(others: boolean) {
    const server = startAdmission(100, [ROUTE]);
    const send = (owner: string, bytes: number) => {
      const { exchange } = server.send(ROUTE);
      server.admission.release(exchange, 400);
      exchange.principal = principalOf(owner);
      const isRead = server.admission.reserve(exchange, bytes) === null;
      server.admission.begin(exchange);
      server.admission.release(exchange, 400);
      return isRead;
    };
    server.delayLoop(200);
    for (let round = 0; round < 5; round++) {
      if (others) send('other', 100);
      send('greedy', 100);
      server.pass(UPDATE_MS);
    }
    return Array.from({ length: 10 }, () => send('greedy', LARGE)).filter(Boolean).length;
  }

  test('large bodies of an owner are paced if others have requests', () => {
    expect(startInvalid(true)).toBe(1);
  });

  test('large bodies of an owner alone are not', () => {
    expect(startInvalid(false)).toBe(10);
  });
});
