import { describe, expect, test } from 'bun:test';
import { deadline } from '../../../src/envelope/deadline.ts';
import { DeadlineWheel } from '../../../src/envelope/deadline-wheel.ts';
import { createEnvelope } from '../../../src/envelope/envelope.ts';
import { errors } from '../../../src/envelope/errors.ts';
import type { Exchange, FetchHandler, Middleware } from '../../../src/envelope/exchange.ts';
import { loadShedding } from '../../../src/envelope/load-shedding.ts';
import { metrics } from '../../../src/envelope/metrics.ts';
import { RedStats } from '../../../src/envelope/red-stats.ts';
import { requestId } from '../../../src/envelope/request-id.ts';
import { securityHeaders } from '../../../src/envelope/security-headers.ts';
import { AdmissionControl } from '../../../src/shedding/admission.ts';
import { LoopLimit } from '../../../src/shedding/loop-limit.ts';
import { StaticShare } from '../../../src/shedding/static-share.ts';
import { now, pendingResponse, plainProblem, routeOf } from '../../support/exchange.ts';

const request = () => new Request('http://atlas.test/things', { headers: { 'X-Request-ID': 'mine' } });

/** Builds the layers in the order of the app, with one permit, around a handler of the test. */
function pipelineOver(handler: FetchHandler, timeoutMs = 30_000) {
  const route = routeOf({ timeoutMs });
  const stats = new RedStats([route]);
  const admission = new AdmissionControl({
    permits: new StaticShare(1, 1, 1),
    routes: [route],
    loop: new LoopLimit(() => 0),
    keyIdOf: () => null,
    ownerOf: () => null,
    refuse: () => new Error('full'),
    nowMs: () => performance.now(),
  });
  const layers = [
    requestId(),
    securityHeaders(false),
    metrics(stats, null),
    deadline({
      wheel: new DeadlineWheel(1),
      toProblem: plainProblem,
      exceeded: () => new Error('too late'),
    }),
    errors(plainProblem),
    loadShedding(admission, plainProblem),
  ];
  const counted: number[] = [];
  const statuses = () => {
    counted.length = 0;
    stats.forEachStatus((_, status, count) => counted.push(status, count));
    return counted;
  };
  return { fetch: createEnvelope(layers, handler, () => route), stats, admission, statuses };
}

describe('the composition', () => {
  test('runs the first layer outermost, and each layer once', () => {
    const order: string[] = [];
    const named =
      (name: string): Middleware =>
      (next) =>
      (inner, exchange) => {
        order.push(`${name} in`);
        const response = next(inner, exchange);
        order.push(`${name} out`);
        return response;
      };
    const fetch = createEnvelope(
      [named('a'), named('b')],
      () => {
        order.push('handler');
        return new Response();
      },
      () => routeOf(),
    );
    fetch(request());
    expect(order).toEqual(['a in', 'b in', 'handler', 'b out', 'a out']);
  });

  test('composes layers at startup, not per request', () => {
    let composed = 0;
    const layer: Middleware = (next) => {
      composed++;
      return next;
    };
    const fetch = createEnvelope(
      [layer],
      () => new Response(),
      () => routeOf(),
    );
    fetch(request());
    fetch(request());
    expect(composed).toBe(1);
  });

  test('is a plain fetch handler without layers', () => {
    const response = new Response();
    const fetch = createEnvelope(
      [],
      () => response,
      () => routeOf(),
    );
    expect(fetch(request())).toBe(response);
  });

  test('gives each request its own exchange, with its route', () => {
    const seen: Exchange[] = [];
    const route = routeOf({ pattern: '/mine' });
    const fetch = createEnvelope(
      [],
      (_, exchange) => {
        seen.push(exchange);
        return new Response();
      },
      () => route,
    );
    fetch(request());
    fetch(request());
    expect(seen[0]).not.toBe(seen[1]);
    expect(seen.map((exchange) => exchange.route)).toEqual([route, route]);
  });
});

describe('the whole pipeline', () => {
  test('returns the response of a synchronous handler without a promise', () => {
    const { fetch, statuses, admission } = pipelineOver(() => new Response('ok'));
    const response = now(fetch(request()));
    expect(response.headers.get('x-request-id')).toBe('mine');
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    expect(statuses()).toEqual([200, 1]);
    expect(admission.stats().inFlight).toBe(0);
  });

  test('counts the response of an asynchronous handler and sets its request ID', async () => {
    const { fetch, statuses } = pipelineOver(async () => new Response(null, { status: 201 }));
    expect((await fetch(request())).headers.get('x-request-id')).toBe('mine');
    expect(statuses()).toEqual([201, 1]);
  });

  test('counts a handler that throws, sets the request ID and security headers, and releases the permit', () => {
    const { fetch, statuses, admission, stats } = pipelineOver(() => {
      throw new Error('thrown');
    });
    const response = now(fetch(request()));
    expect(response.status).toBe(500);
    expect(response.headers.get('x-request-id')).toBe('mine');
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    expect(statuses()).toEqual([500, 1]);
    expect([admission.stats().inFlight, stats.inFlight]).toEqual([0, 0]);
  });

  test('responds at the deadline but holds the permit until the handler ends', async () => {
    const { promise, resolve } = pendingResponse();
    const { fetch, statuses, admission } = pipelineOver(() => promise, 3);
    const response = await fetch(request());
    expect(await response.text()).toBe('too late');
    expect(response.headers.get('x-request-id')).toBe('mine');
    expect(admission.stats().inFlight).toBe(1);
    expect(await now(fetch(request())).text()).toBe('full');
    resolve(new Response('too late to matter'));
    await promise;
    await Promise.resolve();
    expect(admission.stats().inFlight).toBe(0);
    expect(statuses()).toEqual([500, 2]);
  });
});
