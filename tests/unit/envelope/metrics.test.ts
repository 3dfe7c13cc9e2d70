import { describe, expect, test } from 'bun:test';
import type { Exchange } from '../../../src/envelope/exchange.ts';
import { metrics } from '../../../src/envelope/metrics.ts';
import { RedStats } from '../../../src/envelope/red-stats.ts';
import { exchangeOf, now, pendingResponse, routeOf } from '../../support/exchange.ts';

/** How long the handler of a timed request takes. */
const HANDLER_MS = 2;
const routes = [routeOf({ index: 0, pattern: '/a' }), routeOf({ index: 1, pattern: '/b' })];

function statusesOf(stats: RedStats): [string, number, number][] {
  const found: [string, number, number][] = [];
  stats.forEachStatus(({ pattern }, status, count) => found.push([pattern, status, count]));
  return found;
}

describe('the layer', () => {
  test('counts a synchronous response and passes it unchanged', () => {
    const stats = new RedStats(routes);
    const { request, exchange } = exchangeOf({}, { index: 1 });
    const response = new Response(null, { status: 201 });
    const inside: number[] = [];
    const layer = metrics(
      stats,
      null,
    )(() => {
      inside.push(stats.inFlight);
      return response;
    });
    expect(now(layer(request, exchange))).toBe(response);
    expect(statusesOf(stats)).toEqual([['/b', 201, 1]]);
    expect(inside).toEqual([1]);
    expect(stats.inFlight).toBe(0);
  });

  test('counts an asynchronous response when it is ready, not before', async () => {
    const stats = new RedStats(routes);
    const { request, exchange } = exchangeOf();
    const { promise, resolve } = pendingResponse();
    const pending = metrics(stats, null)(() => promise)(request, exchange);
    expect(statusesOf(stats)).toEqual([]);
    expect(stats.inFlight).toBe(1);
    resolve(new Response(null, { status: 504 }));
    await pending;
    expect(statusesOf(stats)).toEqual([['/a', 504, 1]]);
    expect(stats.inFlight).toBe(0);
  });

  test('does not leave a request in flight after an error or a rejection', async () => {
    const stats = new RedStats(routes);
    const { request, exchange } = exchangeOf();
    const throwing = metrics(
      stats,
      null,
    )(() => {
      throw new Error('thrown');
    });
    expect(() => throwing(request, exchange)).toThrow('thrown');
    const rejecting = metrics(stats, null)(() => Promise.reject(new Error('rejected')));
    await expect(Promise.resolve(rejecting(request, exchange))).rejects.toThrow('rejected');
    expect(stats.inFlight).toBe(0);
    expect(statusesOf(stats)).toEqual([]);
  });

  test('counts a request of a disconnected caller with the status of its response', async () => {
    const stats = new RedStats(routes);
    const caller = new AbortController();
    const { request, exchange } = exchangeOf({ signal: caller.signal });
    const { promise, resolve } = pendingResponse();
    const pending = metrics(
      stats,
      null,
    )((_, { signal }) => {
      signal.addEventListener('abort', () => resolve(new Response(null, { status: 499 })));
      return promise;
    })(request, exchange);
    caller.abort();
    await pending;
    expect(statusesOf(stats)).toEqual([['/a', 499, 1]]);
    expect(stats.inFlight).toBe(0);
  });

  test('calls the observer after counting', () => {
    const stats = new RedStats(routes);
    const startMs = performance.now();
    const { request, exchange } = exchangeOf();
    const observed: [Exchange, number][] = [];
    let observedMs = Number.NaN;
    const layer = metrics(stats, (of, status, durationMs) => {
      observed.push([of, status]);
      observedMs = durationMs;
      expect(statusesOf(stats)).toEqual([['/a', 200, 1]]);
    });
    layer(() => {
      Bun.sleepSync(HANDLER_MS);
      return new Response();
    })(request, exchange);
    expect(observed).toEqual([[exchange, 200]]);
    expect(observedMs).toBeWithin(HANDLER_MS, performance.now() - startMs);
  });
});
