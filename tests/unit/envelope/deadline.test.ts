import { describe, expect, test } from 'bun:test';
import { deadline } from '../../../src/envelope/deadline.ts';
import { DeadlineWheel } from '../../../src/envelope/deadline-wheel.ts';
import { exchangeOf, now, pendingResponse, plainProblem } from '../../support/exchange.ts';

function deadlineLayer() {
  const wheel = new DeadlineWheel(1);
  const layer = deadline({ wheel, toProblem: plainProblem, exceeded: () => new Error('too late') });
  return { wheel, layer };
}

describe('the layer', () => {
  test('sets no alarm for a synchronous response', () => {
    const { wheel, layer } = deadlineLayer();
    const { request, exchange } = exchangeOf();
    const response = new Response('at once');
    expect(now(layer(() => response)(request, exchange))).toBe(response);
    expect(wheel.waiting).toBe(0);
  });

  test('cancels its alarm if the response is in time', async () => {
    const { wheel, layer } = deadlineLayer();
    const { request, exchange } = exchangeOf();
    const { promise, resolve } = pendingResponse();
    const pending = layer(() => promise)(request, exchange);
    expect(wheel.waiting).toBe(1);
    const response = new Response('in time');
    resolve(response);
    expect(await pending).toBe(response);
    expect(wheel.waiting).toBe(0);
    expect(exchange.signal.aborted).toBe(false);
  });

  test('passes errors and cancels its alarm', async () => {
    const { wheel, layer } = deadlineLayer();
    const { request, exchange } = exchangeOf();
    const throwing = layer(() => {
      throw new Error('thrown');
    });
    expect(() => throwing(request, exchange)).toThrow('thrown');
    const rejecting = layer(() => Promise.reject(new Error('rejected')))(request, exchange);
    await expect(Promise.resolve(rejecting)).rejects.toThrow('rejected');
    expect(wheel.waiting).toBe(0);
  });

  test('waits beyond the range of its wheel', async () => {
    const wheel = new DeadlineWheel(1, 5);
    const layer = deadline({ wheel, toProblem: plainProblem, exceeded: () => new Error('too late') });
    const { request, exchange } = exchangeOf({}, { timeoutMs: 40 });
    const response = await layer(() => new Promise(() => {}))(request, exchange);
    expect(await response.text()).toBe('too late');
    expect(performance.now()).toBeGreaterThanOrEqual(exchange.deadlineMs);
    expect(wheel.waiting).toBe(0);
  });

  test('returns 504 for a handler that is too slow, and aborts its signal', async () => {
    const { layer } = deadlineLayer();
    const { request, exchange } = exchangeOf({}, { timeoutMs: 3 });
    const { signal } = exchange;
    const { promise, resolve } = pendingResponse();
    const response = await layer(() => promise)(request, exchange);
    expect(response.status).toBe(500);
    expect(await response.text()).toBe('too late');
    expect(signal.reason).toMatchObject({ kind: 'deadline' });
    expect(performance.now()).toBeGreaterThanOrEqual(exchange.deadlineMs);
    resolve(new Response('much later'));
    await promise;
    expect(response.status).toBe(500);
  });

  test('discards a rejection after the deadline of the caller', async () => {
    const { layer } = deadlineLayer();
    const { request, exchange } = exchangeOf({ headers: { 'grpc-timeout': '3m' } });
    const { promise, reject } = pendingResponse();
    const response = await layer(() => promise)(request, exchange);
    reject(new Error('aborted'));
    await promise.catch(() => {});
    expect(await response.text()).toBe('too late');
  });

  test('does nothing if the caller disconnects: the handler decides on the response', async () => {
    const caller = new AbortController();
    const { wheel, layer } = deadlineLayer();
    const { request, exchange } = exchangeOf({ signal: caller.signal });
    const pending = layer(
      (_, { signal }) =>
        new Promise((resolve) => {
          signal.addEventListener('abort', () => resolve(new Response('aborted')));
        }),
    )(request, exchange);
    caller.abort();
    expect(await (await pending).text()).toBe('aborted');
    expect(wheel.waiting).toBe(0);
  });
});
