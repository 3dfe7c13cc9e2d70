import { describe, expect, test } from 'bun:test';
import { AbortReason, type Exchange } from '../../../src/envelope/exchange.ts';
import { type Admission, loadShedding } from '../../../src/envelope/load-shedding.ts';
import { exchangeOf, now, pendingResponse, plainProblem } from '../../support/exchange.ts';

/** Admits while fewer than `permits` are in, and remembers who came and went. */
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
    begin: () => null,
    release(exchange) {
      inside.splice(inside.indexOf(exchange), 1);
      released.push(exchange);
    },
  };
}

describe('load shedding', () => {
  test('gives the permit back when a synchronous handler has answered', () => {
    const admission = admissionOf(1);
    const { request, exchange } = exchangeOf();
    const answer = new Response('ok');
    const layer = loadShedding(admission, plainProblem);
    expect(now(layer(() => answer)(request, exchange))).toBe(answer);
    expect(admission.released).toEqual([exchange]);
  });

  test('holds the permit while the answer is being made, and refuses others meanwhile', async () => {
    const admission = admissionOf(1);
    const layer = loadShedding(admission, plainProblem);
    const first = exchangeOf();
    const { promise, resolve } = pendingResponse();
    const answered = layer(() => promise)(first.request, first.exchange);
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
    expect(await (await answered).text()).toBe('ok');
    expect(admission.released).toEqual([first.exchange]);
  });

  test('gives the permit back once when the handler throws or rejects', async () => {
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

  test('holds the permit of an aborted request until its handler really ends', async () => {
    const admission = admissionOf(1);
    const { request, exchange } = exchangeOf();
    const { promise, resolve } = pendingResponse();
    const answered = loadShedding(admission, plainProblem)(() => promise)(request, exchange);
    exchange.abort(new AbortReason('deadline'));
    await Promise.resolve();
    expect(admission.released).toEqual([]);
    resolve(new Response());
    await answered;
    expect(admission.released).toEqual([exchange]);
  });

  test('never asks for routes that always pass', () => {
    const admission = admissionOf(0);
    const { request, exchange } = exchangeOf({}, { sheddable: false });
    const response = loadShedding(admission, plainProblem)(() => new Response('healthy'))(request, exchange);
    expect(now(response).status).toBe(200);
    expect(admission.released).toEqual([]);
  });
});
