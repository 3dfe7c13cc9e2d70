import { describe, expect, test } from 'bun:test';
import { AbortReason } from '../../../src/envelope/exchange.ts';
import { requestId } from '../../../src/envelope/request-id.ts';
import { exchangeOf, now } from '../../support/exchange.ts';

const MADE = /^[\w.]{12}-[0-9a-z]+$/;

function pass(headers: Record<string, string>) {
  const { request, exchange } = exchangeOf({ headers });
  let seenInside = '';
  const layer = requestId()((_, inside) => {
    seenInside = inside.requestId;
    return new Response('ok');
  });
  const response = now(layer(request, exchange));
  return { id: response.headers.get('x-request-id'), seenInside, exchange };
}

describe('the request ID', () => {
  test('is generated if none was sent, and is the same in the exchange and the response', () => {
    const { id, seenInside } = pass({});
    expect(id).toMatch(MADE);
    expect(seenInside).toBe(id!);
  });

  test('differs from request to request', () => {
    expect(pass({}).id).not.toBe(pass({}).id);
  });

  test('of the caller is kept if it is 1 to 128 harmless characters', () => {
    for (const given of ['a', 'trace-1_2.3:4=5+6/7', 'x'.repeat(128)]) {
      expect(pass({ 'X-Request-ID': given }).id).toBe(given);
    }
  });

  test.each([
    ['is empty', ''],
    ['has 129 characters', 'x'.repeat(129)],
    ['has 5,000 characters', 'x'.repeat(5000)],
    ['holds a space', 'a b'],
    ['holds a quote', 'a"b'],
    ['holds a comma', 'a,b'],
    ['holds markup', '<script>'],
    ['holds another script', 'é'],
  ])('of the caller is replaced if it %s', (_, given) => {
    const { id, exchange } = pass({ 'X-Request-ID': given });
    expect(id).toMatch(MADE);
    expect(exchange.requestId).not.toBe(given);
  });
});

describe('the layer', () => {
  test('sets the ID on an asynchronous response', async () => {
    const { request, exchange } = exchangeOf({ headers: { 'X-Request-ID': 'mine' } });
    const response = await requestId()(async () => new Response('late'))(request, exchange);
    expect(response.headers.get('x-request-id')).toBe('mine');
  });

  test('passes errors, whether thrown or rejected, with the ID already set', async () => {
    const { request, exchange } = exchangeOf({ headers: { 'X-Request-ID': 'mine' } });
    const throwing = requestId()(() => {
      throw new Error('thrown');
    });
    expect(() => throwing(request, exchange)).toThrow('thrown');
    const rejecting = requestId()(() => Promise.reject(new Error('rejected')));
    await expect(Promise.resolve(rejecting(request, exchange))).rejects.toThrow('rejected');
    expect(exchange.requestId).toBe('mine');
  });

  test('sets the ID on the response to an aborted request', () => {
    const { request, exchange } = exchangeOf({ headers: { 'X-Request-ID': 'mine' } });
    exchange.abort(new AbortReason('disconnect'));
    const response = now(requestId()(() => new Response(null, { status: 499 }))(request, exchange));
    expect(response.headers.get('x-request-id')).toBe('mine');
  });
});
