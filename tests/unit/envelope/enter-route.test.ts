import { describe, expect, test } from 'bun:test';
import { enterRoute } from '../../../src/envelope/enter-route.ts';
import type { Exchange, FetchHandler } from '../../../src/envelope/exchange.ts';
import { exchangeOf, now, plainProblem } from '../../support/exchange.ts';

const unmatched: FetchHandler = () => new Response('unmatched', { status: 404 });

/** Enters the route at an index, of two routes whose second one runs the handler. */
function enter(handler: FetchHandler, index = 1, method = 'GET') {
  const { request, exchange } = exchangeOf({ method }, { index });
  const first: FetchHandler = () => new Response('first');
  return enterRoute([first, handler], unmatched, plainProblem)(request, exchange);
}

describe('the handler of the resolved route', () => {
  test('runs without a second match, and returns synchronously', async () => {
    expect(await now(enter(() => new Response('second'))).text()).toBe('second');
    expect(await now(enter(unmatched, 0)).text()).toBe('first');
  });

  test('is not looked for if no route matched', async () => {
    expect(await now(enter(() => new Response('second'), 2)).text()).toBe('unmatched');
  });

  test('becomes a problem if it throws or rejects, so that layers learn the status', async () => {
    const throwing = enter(() => {
      throw new Error('thrown');
    });
    expect(now(throwing).status).toBe(500);
    const rejecting = await enter(() => Promise.reject(new Error('rejected')));
    expect([rejecting.status, await rejecting.text()]).toEqual([500, 'rejected']);
  });

  test.each([
    ['an immediate', (_: Request, exchange: Exchange) => exchange.json({ a: 1 }, 200, { ETag: '"1"' })],
    ['a late', async (_: Request, exchange: Exchange) => exchange.json({ a: 1 }, 200, { ETag: '"1"' })],
  ])('responds to HEAD with %s response to GET, whose body only the server drops', async (_, handler) => {
    const response = await enter(handler, 1, 'HEAD');
    expect([response.status, await response.text(), response.headers.get('etag')]).toEqual([
      200,
      '{"a":1}',
      '"1"',
    ]);
    expect(response.headers.get('content-type')).toBe('application/json');
  });
});
