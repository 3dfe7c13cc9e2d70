import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { Exchange } from '../../../src/envelope/exchange.ts';
import { AdmissionControl } from '../../../src/shedding/admission.ts';
import { LoopLimit } from '../../../src/shedding/loop-limit.ts';
import { StaticShare } from '../../../src/shedding/static-share.ts';
import { TIERS } from '../../../src/utils/tier.ts';
import { routeOf } from '../../support/exchange.ts';
import { enter, mixed, serveVirtually, summary } from '../../support/virtual-server.ts';

const ROUTES = TIERS.map((tier, index) =>
  routeOf({ index, tier, resource: index === 0 ? null : 'database' }),
);
const STATUSES = [0, 200, 201, 400, 401, 404, 422, 429, 499, 500, 503, 504];

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ admit: fc.nat(2), count: fc.integer({ min: 1, max: 40 }) }) },
  { weight: 4, arbitrary: fc.record({ release: fc.nat(1000), status: fc.constantFrom(...STATUSES) }) },
  { weight: 3, arbitrary: fc.record({ passMs: fc.integer({ min: 1, max: 3000 }) }) },
  { weight: 1, arbitrary: fc.record({ share: fc.nat(60) }) },
  { weight: 1, arbitrary: fc.record({ delayMs: fc.nat(500) }) },
);

test('in any sequence, the requests in flight never exceed the permits, none is lost, and every decision is counted', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      let nowMs = 0;
      let delayMs = 0;
      let requests = 0;
      const permits = new StaticShare(40, 1, 40);
      const admission = new AdmissionControl({
        permits,
        routes: ROUTES,
        loop: new LoopLimit(() => delayMs),
        keyIdOf: () => `key${requests}`,
        ownerOf: () => `owner${requests % 3}`,
        refuse: (reason) => new Error(reason),
        nowMs: () => nowMs,
      });
      const request = new Request('http://atlas.test/things', { headers: { priority: 'u=5' } });
      const admitted: Exchange[] = [];
      const check = () => {
        const { inFlight, decisions, resources } = admission.stats();
        expect(inFlight).toBe(admitted.length);
        expect(decisions.reduce((sum, { count }) => sum + count, 0)).toBe(requests);
        for (const { inFlight: used, limit } of resources) {
          expect(used).toBe(admitted.filter(({ route }) => route.resource !== null).length);
          expect(limit).toBeGreaterThanOrEqual(8);
        }
      };
      for (const next of steps) {
        if ('admit' in next) {
          for (let i = 0; i < next.count; i++) {
            const exchange = new Exchange(request, ROUTES[next.admit]!, nowMs);
            requests++;
            if (enter(admission, request, exchange) !== null) continue;
            admitted.push(exchange);
            expect(admitted.length).toBeLessThanOrEqual(permits.limitAt(nowMs));
          }
        } else if ('release' in next) {
          const [exchange] = admitted.splice(next.release % Math.max(1, admitted.length), 1);
          if (exchange) admission.release(exchange, next.status);
        } else if ('passMs' in next) nowMs += next.passMs;
        else if ('share' in next) permits.setShare(next.share);
        else delayMs = next.delayMs;
        check();
      }
      for (const exchange of admitted.splice(0)) admission.release(exchange, 200);
      check();
      // No history can lock everybody out permanently.
      delayMs = 0;
      permits.setShare(40);
      for (let i = 0; i < 100; i++) {
        nowMs += 100;
        const exchange = new Exchange(request, ROUTES[2]!, nowMs);
        requests++;
        if (enter(admission, request, exchange) === null) admission.release(exchange, 200);
      }
      const last = new Exchange(new Request('http://atlas.test/things'), ROUTES[2]!, nowMs);
      expect(enter(admission, request, last)).toBeNull();
    }),
    { numRuns: 100, seed: 4 },
  );
});

test('after any load, critical requests are admitted once it is over, and soon all requests are', () => {
  const phase = fc.record({
    lengthMs: fc.integer({ min: 200, max: 3000 }),
    load: fc.double({ min: 0.1, max: 8, noNaN: true }),
    serviceMs: fc.constantFrom(2, 10, 20, 60),
  });
  fc.assert(
    fc.property(fc.array(phase, { minLength: 1, maxLength: 6 }), fc.nat(1000), (phases, seed) => {
      let endMs = 0;
      const spans = phases.map(({ lengthMs, load, serviceMs }) => {
        endMs += lengthMs;
        return { untilMs: endMs, perSecond: mixed(load * 1000), serviceMs };
      });
      const calmMs = endMs + 5000;
      const quietMs = calmMs + 4000;
      const served = serveVirtually({
        phases: [...spans, { untilMs: quietMs, perSecond: mixed(300) }],
        bottleneck: {
          slots: 20,
          serviceMs: (nowMs) => spans.find(({ untilMs }) => nowMs < untilMs)?.serviceMs ?? 20,
        },
        permits: new StaticShare(200, 1, 200),
        seed,
        onUpdate: (_nowMs, admission) => {
          expect(admission.stats().inFlight).toBeWithin(0, 201);
        },
      });
      const late = summary(served, calmMs, quietMs);
      expect(late.critical).toBe(1);
      expect(Math.min(late.default, late.nonCritical)).toBeGreaterThan(0.85);
    }),
    { numRuns: 25, seed: 5 },
  );
});
