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
  test('answers at once, with no alarm set, when the handler does', () => {
    const { wheel, layer } = deadlineLayer();
    const { request, exchange } = exchangeOf();
    const answer = new Response('at once');
    expect(now(layer(() => answer)(request, exchange))).toBe(answer);
    expect(wheel.waiting).toBe(0);
  });

  test('takes its alarm back when the answer comes in time', async () => {
    const { wheel, layer } = deadlineLayer();
    const { request, exchange } = exchangeOf();
    const { promise, resolve } = pendingResponse();
    const answered = layer(() => promise)(request, exchange);
    expect(wheel.waiting).toBe(1);
    const answer = new Response('in time');
    resolve(answer);
    expect(await answered).toBe(answer);
    expect(wheel.waiting).toBe(0);
    expect(exchange.signal.aborted).toBe(false);
  });

  test('lets errors through and takes its alarm back', async () => {
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

  test('answers for a handler that is too slow, and aborts the signal that the handler holds', async () => {
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

  test('drops what a handler rejects with after the deadline of its caller', async () => {
    const { layer } = deadlineLayer();
    const { request, exchange } = exchangeOf({ headers: { 'grpc-timeout': '3m' } });
    const { promise, reject } = pendingResponse();
    const response = await layer(() => promise)(request, exchange);
    reject(new Error('gave up'));
    await promise.catch(() => {});
    expect(await response.text()).toBe('too late');
  });

  test('leaves an exchange alone whose caller went away: the handler decides what to answer', async () => {
    const caller = new AbortController();
    const { wheel, layer } = deadlineLayer();
    const { request, exchange } = exchangeOf({ signal: caller.signal });
    const answered = layer(
      (_, { signal }) =>
        new Promise((resolve) => {
          signal.addEventListener('abort', () => resolve(new Response('given up')));
        }),
    )(request, exchange);
    caller.abort();
    expect(await (await answered).text()).toBe('given up');
    expect(wheel.waiting).toBe(0);
  });
});
