import { describe, expect, test } from 'bun:test';
import { quotas } from '../../../src/envelope/quotas.ts';
import { exchangeOf, now, pendingResponse, plainProblem } from '../../support/exchange.ts';
import { principalOf } from '../../support/principal.ts';

/** A quota of some requests, which counts those in flight if it is told to. */
function quotaOf(requests: number, isCounting: boolean) {
  const seen = { taken: 0, inFlight: 0, atMs: 0 };
  const slots = { release: () => void seen.inFlight-- };
  return {
    seen,
    quota: {
      take(nowMs: number) {
        seen.atMs = nowMs;
        if (seen.taken >= requests) return new Error('no more');
        seen.taken++;
        seen.inFlight++;
        return null;
      },
      slots: isCounting ? slots : null,
    },
  };
}

function callOf(quota: ReturnType<typeof quotaOf>['quota'] | null) {
  const call = exchangeOf();
  call.exchange.principal = principalOf('acme', { quota });
  return call;
}

describe('quotas', () => {
  test('refuse what is beyond them, without entering the layers that read the body', async () => {
    const { quota, seen } = quotaOf(1, false);
    let entered = 0;
    const layer = quotas(plainProblem)(() => {
      entered++;
      return new Response('ok');
    });
    const [first, second] = [callOf(quota), callOf(quota)];
    expect(await now(layer(first.request, first.exchange)).text()).toBe('ok');
    expect(await now(layer(second.request, second.exchange)).text()).toBe('no more');
    expect(entered).toBe(1);
    expect(seen.atMs).toBe(second.exchange.arrivedMs);
  });

  test('do not apply to callers without a quota, and to routes without a key', () => {
    const response = new Response('ok');
    const layer = quotas(plainProblem)(() => response);
    for (const { request, exchange } of [callOf(null), exchangeOf()])
      expect(now(layer(request, exchange))).toBe(response);
  });

  test('return the promise of the handler as it is, if nothing counts requests in flight', async () => {
    const { quota } = quotaOf(1, false);
    const { request, exchange } = callOf(quota);
    const { promise, resolve } = pendingResponse();
    expect(quotas(plainProblem)(() => promise)(request, exchange)).toBe(promise);
    resolve(new Response());
    await promise;
  });

  test('count a request until its response has been made, once', async () => {
    const { quota, seen } = quotaOf(10, true);
    const { request, exchange } = callOf(quota);
    const { promise, resolve } = pendingResponse();
    const pending = quotas(plainProblem)(() => promise)(request, exchange);
    expect(seen.inFlight).toBe(1);
    resolve(new Response('ok'));
    expect(await (await pending).text()).toBe('ok');
    expect(seen.inFlight).toBe(0);
    now(quotas(plainProblem)(() => new Response())(request, exchange));
    expect(seen.inFlight).toBe(0);
  });

  test('count a request until its handler has thrown or rejected', async () => {
    const { quota, seen } = quotaOf(10, true);
    const { request, exchange } = callOf(quota);
    const fails = () => {
      throw new Error('thrown');
    };
    expect(() => quotas(plainProblem)(fails)(request, exchange)).toThrow('thrown');
    expect(seen.inFlight).toBe(0);
    const rejects = quotas(plainProblem)(() => Promise.reject(new Error('rejected')));
    await expect(rejects(request, exchange)).rejects.toThrow('rejected');
    expect([seen.taken, seen.inFlight]).toEqual([2, 0]);
  });
});
