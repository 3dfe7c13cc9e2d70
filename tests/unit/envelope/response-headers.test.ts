import { describe, expect, test } from 'bun:test';
import type { Exchange, FetchHandler } from '../../../src/envelope/exchange.ts';
import { requestId } from '../../../src/envelope/request-id.ts';
import { ResponseHeaders } from '../../../src/envelope/response-headers.ts';
import { securityHeaders } from '../../../src/envelope/security-headers.ts';
import { exchangeOf } from '../../support/exchange.ts';

const layers = (handler: FetchHandler) => requestId()(securityHeaders(true)(handler));
const fieldsOf = ({ headers }: Response) => Object.fromEntries(headers);
const COMMON = {
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'strict-transport-security': 'max-age=31536000; includeSubDomains',
};

/** Sends a request with this ID to a handler inside the layers that every response passes. */
async function send(handler: (exchange: Exchange) => Response | Promise<Response>, id = 'mine') {
  const { request, exchange } = exchangeOf({ headers: { 'X-Request-ID': id } });
  return fieldsOf(await layers((_, inside) => handler(inside))(request, exchange));
}

describe('a response made by the exchange', () => {
  test('has all its headers', async () => {
    expect(await send((exchange) => exchange.json({}, 200))).toEqual({
      ...COMMON,
      'content-type': 'application/json',
      'x-request-id': 'mine',
    });
    expect(await send((exchange) => exchange.empty(204, { ETag: '"1"' }))).toEqual({
      ...COMMON,
      etag: '"1"',
      'x-request-id': 'mine',
    });
  });

  test('passes the layers untouched', () => {
    const { request, exchange } = exchangeOf();
    let made: Response | undefined;
    const response = layers((_, inside) => {
      made = inside.json({}, 200);
      made.headers.delete('x-request-id');
      made.headers.delete('x-content-type-options');
      return made;
    })(request, exchange) as Response;
    expect(response).toBe(made!);
    expect(Object.keys(fieldsOf(response))).not.toContain('x-request-id');
    expect(Object.keys(fieldsOf(response))).not.toContain('x-content-type-options');
  });

  test('is completed by the layers if the handler replaces it', async () => {
    const fields = await send((exchange) => {
      exchange.json({}, 200);
      return new Response('other');
    });
    expect(fields).toMatchObject({ ...COMMON, 'x-request-id': 'mine' });
  });

  test('adds nothing to the responses after it', async () => {
    await send((exchange) => {
      const response = exchange.json({}, 200, { Location: '/first', ETag: '"1"' });
      response.headers.set('vary', 'Origin');
      return response;
    });
    const fields = await send((exchange) => exchange.json({}, 200));
    expect(Object.keys(fields).toSorted()).toEqual(
      [...Object.keys(COMMON), 'content-type', 'x-request-id'].toSorted(),
    );
  });
});

test('requests that interleave get their own IDs and fields', async () => {
  const turns = [3, 0, 2, 0, 1, 4, 2];
  const responses = turns.map((count, i) =>
    send(async (exchange) => {
      for (let turn = 0; turn < count; turn++) await Promise.resolve();
      const response = exchange.json({ i }, 200, i % 2 === 0 ? { Location: `/${i}` } : undefined);
      for (let turn = 0; turn < turns.length - count; turn++) await Promise.resolve();
      return response;
    }, `request-${i}`),
  );
  const seen = (await Promise.all(responses)).map((fields) => [fields['x-request-id'], fields.location]);
  expect(seen).toEqual(turns.map((_, i) => [`request-${i}`, i % 2 === 0 ? `/${i}` : undefined]));
});

test('an app in production does not change the headers of another', async () => {
  const { request, exchange } = exchangeOf();
  const open = securityHeaders(false)((_, inside) => inside.json({}, 200))(request, exchange) as Response;
  expect(open.headers.has('strict-transport-security')).toBe(false);
});

test('headers are built once for each kind of response', () => {
  const kind = { 'cache-control': 'no-store' };
  const headers = new ResponseHeaders({ a: '1' });
  expect(headers.of(kind)).toBe(headers.of(kind));
  expect(Object.fromEntries(headers.of(kind))).toEqual({ a: '1', 'cache-control': 'no-store' });
  expect(Object.fromEntries(headers.json)).toEqual({ a: '1', 'content-type': 'application/json' });
  expect(Object.fromEntries(headers.empty)).toEqual({ a: '1' });
});

test('headers with more in common are built once, and leave the others as they are', () => {
  const more = { 'cache-control': 'no-store' };
  const headers = new ResponseHeaders({ a: '1' });
  const extended = headers.with(more);
  expect(headers.with(more)).toBe(extended);
  expect(Object.fromEntries(extended.empty)).toEqual({ a: '1', 'cache-control': 'no-store' });
  expect(Object.fromEntries(extended.of({ 'cache-control': 'private' }))).toEqual({
    a: '1',
    'cache-control': 'private',
  });
  expect(Object.fromEntries(headers.empty)).toEqual({ a: '1' });
});
