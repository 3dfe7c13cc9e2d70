import { describe, expect, test } from 'bun:test';
import { AbortReason, type Exchange } from '../../../src/envelope/exchange.ts';
import { type Admission, loadShedding } from '../../../src/envelope/load-shedding.ts';
import { exchangeOf, now, pendingResponse, plainProblem } from '../../support/exchange.ts';

/** Admits while fewer than `permits` requests are in flight, and records admissions and releases. */
function admissionOf(permits: number): Admission & { inside: Exchange[]; released: Exchange[] } {
  const inside: Exchange[] = [];
  const released: Exchange[] = [];
  return {
    inside,
    released,
    admit(_request, exchange) {
      if (inside.length >= permits) return new Error('full');
      inside.push(exchange);
      return null;
    },
    pass: () => {},
    expectBody: () => null,
    expectChunks: () => null,
    reserve: () => null,
    begin: () => null,
    release(exchange) {
      inside.splice(inside.indexOf(exchange), 1);
      released.push(exchange);
    },
  };
}

describe('load shedding', () => {
  test('releases the permit when a synchronous handler returns', () => {
    const admission = admissionOf(1);
    const { request, exchange } = exchangeOf();
    const response = new Response('ok');
    const layer = loadShedding(admission, plainProblem);
    expect(now(layer(() => response)(request, exchange))).toBe(response);
    expect(admission.released).toEqual([exchange]);
  });

  test('holds the permit until the response is ready, and refuses others meanwhile', async () => {
    const admission = admissionOf(1);
    const layer = loadShedding(admission, plainProblem);
    const first = exchangeOf();
    const { promise, resolve } = pendingResponse();
    const pending = layer(() => promise)(first.request, first.exchange);
    const second = exchangeOf();
    let entered = false;
    const refused = layer(() => {
      entered = true;
      return new Response();
    })(second.request, second.exchange);
    expect(await now(refused).text()).toBe('full');
    expect(entered).toBe(false);
    expect(admission.released).toEqual([]);
    resolve(new Response('ok'));
    expect(await (await pending).text()).toBe('ok');
    expect(admission.released).toEqual([first.exchange]);
  });

  test('releases the permit once if the handler throws or rejects', async () => {
    const admission = admissionOf(1);
    const layer = loadShedding(admission, plainProblem);
    const { request, exchange } = exchangeOf();
    const throwing = layer(() => {
      throw new Error('thrown');
    });
    expect(() => throwing(request, exchange)).toThrow('thrown');
    expect(admission.released).toHaveLength(1);
    const rejecting = layer(() => Promise.reject(new Error('rejected')));
    await expect(Promise.resolve(rejecting(request, exchange))).rejects.toThrow('rejected');
    expect(admission.released).toHaveLength(2);
    expect(admission.inside).toEqual([]);
  });

  test('holds the permit of an aborted request until its handler ends', async () => {
    const admission = admissionOf(1);
    const { request, exchange } = exchangeOf();
    const { promise, resolve } = pendingResponse();
    const pending = loadShedding(admission, plainProblem)(() => promise)(request, exchange);
    exchange.abort(new AbortReason('deadline'));
    await Promise.resolve();
    expect(admission.released).toEqual([]);
    resolve(new Response());
    await pending;
    expect(admission.released).toEqual([exchange]);
  });

  test('skips admission for routes that are never shed', () => {
    const admission = admissionOf(0);
    const { request, exchange } = exchangeOf({}, { sheddable: false });
    const response = loadShedding(admission, plainProblem)(() => new Response('healthy'))(request, exchange);
    expect(now(response).status).toBe(200);
    expect(admission.released).toEqual([]);
  });
});
