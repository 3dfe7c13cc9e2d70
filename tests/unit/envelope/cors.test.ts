import { describe, expect, test } from 'bun:test';
import { cors, preflights } from '../../../src/envelope/cors.ts';
import { AbortReason } from '../../../src/envelope/exchange.ts';
import { exchangeOf, now } from '../../support/exchange.ts';

const FRIEND = 'https://app.example.com';
const layer = cors([FRIEND, 'http://localhost:5173'], ['ETag', 'X-Request-ID']);
const preflightLayer = preflights([FRIEND], {
  methods: ['GET', 'PATCH'],
  headers: ['Authorization', 'Idempotency-Key'],
});
const asking = (origin: string) => ({ headers: { Origin: origin } });
const preflight = (origin: string) => ({
  method: 'OPTIONS',
  headers: { Origin: origin, 'Access-Control-Request-Method': 'POST' },
});
const allowOrigin = (response: Response) => response.headers.get('access-control-allow-origin');

describe('a response', () => {
  test('to a request without Origin is unchanged', () => {
    const { request, exchange } = exchangeOf();
    const response = now(layer(() => new Response('ok'))(request, exchange));
    expect([...response.headers.keys()].some((name) => name.startsWith('access-control'))).toBe(false);
  });

  test('can be read by a page of an allowed origin', () => {
    const { request, exchange } = exchangeOf(asking(FRIEND));
    const response = now(layer(() => new Response('ok'))(request, exchange));
    expect(allowOrigin(response)).toBe(FRIEND);
    expect(response.headers.get('access-control-expose-headers')).toBe('ETag, X-Request-ID');
    expect(response.headers.get('vary')).toBe('Origin');
  });

  test.each([
    'https://evil.example.com',
    'https://app.example.com.evil.com',
    'http://app.example.com',
    'https://app.example.com:8443',
    'HTTPS://APP.EXAMPLE.COM',
    'null',
    '*',
  ])('cannot be read by a page of %s', (origin) => {
    const { request, exchange } = exchangeOf(asking(origin));
    const response = now(layer(() => new Response('ok'))(request, exchange));
    expect(allowOrigin(response)).toBeNull();
    expect(response.headers.get('vary')).toBe('Origin');
  });

  test('never allows credentials', () => {
    for (const init of [asking(FRIEND), preflight(FRIEND)]) {
      const { request, exchange } = exchangeOf(init);
      const response = now(layer(() => new Response('ok'))(request, exchange));
      expect(response.headers.has('access-control-allow-credentials')).toBe(false);
    }
  });

  test('that is asynchronous can be read too', async () => {
    const { request, exchange } = exchangeOf(asking(FRIEND));
    expect(allowOrigin(await layer(async () => new Response('ok'))(request, exchange))).toBe(FRIEND);
  });

  test('to an aborted request can be read too', () => {
    const { request, exchange } = exchangeOf(asking(FRIEND));
    exchange.abort(new AbortReason('deadline'));
    expect(allowOrigin(now(layer(() => new Response(null, { status: 504 }))(request, exchange)))).toBe(
      FRIEND,
    );
  });
});

test('errors pass, whether thrown or rejected', async () => {
  const { request, exchange } = exchangeOf(asking(FRIEND));
  const throwing = layer(() => {
    throw new Error('thrown');
  });
  expect(() => throwing(request, exchange)).toThrow('thrown');
  const rejecting = layer(() => Promise.reject(new Error('rejected')))(request, exchange);
  await expect(Promise.resolve(rejecting)).rejects.toThrow('rejected');
});

describe('a preflight', () => {
  const unreachable = () => {
    throw new Error('A preflight reached the handler.');
  };

  test('of an allowed origin lists what is allowed and reaches no handler', () => {
    const { request, exchange } = exchangeOf(preflight(FRIEND));
    const response = now(layer(preflightLayer(unreachable))(request, exchange));
    expect(response.status).toBe(204);
    expect(allowOrigin(response)).toBe(FRIEND);
    expect(response.headers.get('access-control-allow-methods')).toBe('GET, PATCH');
    expect(response.headers.get('access-control-allow-headers')).toBe('Authorization, Idempotency-Key');
    expect(response.headers.has('access-control-expose-headers')).toBe(false);
  });

  test('of another origin lists nothing', () => {
    const { request, exchange } = exchangeOf(preflight('https://evil.example.com'));
    const response = now(layer(preflightLayer(unreachable))(request, exchange));
    expect([...response.headers]).toEqual([['vary', 'Origin']]);
  });

  test('names a method: any other OPTIONS request reaches the app', () => {
    const { request, exchange } = exchangeOf({ method: 'OPTIONS', ...asking(FRIEND) });
    const response = now(layer(preflightLayer(() => new Response(null, { status: 405 })))(request, exchange));
    expect(response.status).toBe(405);
  });
});
