import { describe, expect, test } from 'bun:test';
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib';
import { compression, negotiateEncoding } from '../../../src/envelope/compression.ts';
import { AbortReason } from '../../../src/envelope/exchange.ts';
import { exchangeOf, now } from '../../support/exchange.ts';

const TEXT = JSON.stringify({ text: 'atlas '.repeat(1000) });
const jsonResponse = (body: BodyInit = TEXT, headers: Record<string, string> = {}) =>
  new Response(body, { headers: { 'Content-Type': 'application/json', ...headers } });

function send(acceptEncoding: string, response: Response, init: RequestInit = {}, compressible = true) {
  const headers = { 'Accept-Encoding': acceptEncoding };
  const { request, exchange } = exchangeOf({ headers, ...init }, { compressible });
  return compression()(() => response)(request, exchange);
}

describe('the encoding', () => {
  test.each([
    ['gzip', 'gzip'],
    ['GZIP', 'gzip'],
    ['br', 'br'],
    ['zstd', 'zstd'],
    ['gzip, deflate, br, zstd', 'zstd'],
    ['gzip, deflate, br', 'gzip'],
    ['gzip;q=0.5, br;q=0.9', 'br'],
    ['zstd;q=0, gzip', 'gzip'],
    ['*', 'zstd'],
    ['zstd;q=0, *;q=0.1', 'gzip'],
    [' gzip ; q=1 ', 'gzip'],
  ] as const)('for %p is %s', (acceptEncoding, expected) => {
    expect(negotiateEncoding(acceptEncoding)).toBe(expected);
  });

  test.each([null, '', 'identity', 'deflate', 'gzip;q=0', '*;q=0', 'gzip;q=junk', ','])(
    'for %p is none',
    (acceptEncoding) => {
      expect(negotiateEncoding(acceptEncoding)).toBeNull();
    },
  );
});

describe('a response', () => {
  test.each([
    ['gzip', gunzipSync],
    ['br', brotliDecompressSync],
    ['zstd', zstdDecompressSync],
  ])('compressed with %s is smaller and decompresses to the original', async (encoding, unpack) => {
    const response = await send(encoding, jsonResponse(TEXT, { 'Content-Length': String(TEXT.length) }));
    expect(response.headers.get('content-encoding')).toBe(encoding);
    expect(response.headers.get('vary')).toBe('Accept-Encoding');
    expect(response.headers.get('content-type')).toBe('application/json');
    expect(response.headers.has('content-length')).toBe(false);
    const bytes = await response.bytes();
    expect(bytes.length).toBeLessThan(TEXT.length / 4);
    expect(unpack(bytes).toString()).toBe(TEXT);
  });

  test.each([
    ['an event stream', () => new Response(TEXT, { headers: { 'Content-Type': 'text/event-stream' } })],
    ['a picture', () => new Response(TEXT, { headers: { 'Content-Type': 'image/png' } })],
    ['without a type', () => new Response(new TextEncoder().encode(TEXT))],
    ['already encoded', () => jsonResponse(TEXT, { 'Content-Encoding': 'gzip' })],
    ['a problem', () => new Response(TEXT, { status: 500, headers: { 'Content-Type': 'application/json' } })],
  ])('that is %s passes unchanged and synchronously', (_, make) => {
    const response = make();
    expect(now(send('gzip', response))).toBe(response);
    expect(response.headers.has('vary')).toBe(false);
  });

  test('that is small is not compressed but varies by Accept-Encoding', async () => {
    const response = await send('gzip', jsonResponse('{}'));
    expect(response.headers.has('content-encoding')).toBe(false);
    expect(response.headers.get('vary')).toBe('Accept-Encoding');
    expect(await response.text()).toBe('{}');
  });

  test('to a caller that accepts no encoding passes synchronously but varies by Accept-Encoding', () => {
    const response = jsonResponse();
    expect(now(send('identity', response))).toBe(response);
    expect(response.headers.get('vary')).toBe('Accept-Encoding');
  });

  test('to HEAD is not compressed', () => {
    const response = jsonResponse('');
    expect(now(send('gzip', response, { method: 'HEAD' }))).toBe(response);
  });

  test('of a route that is not marked is not inspected', () => {
    const response = jsonResponse();
    expect(now(send('gzip', response, {}, false))).toBe(response);
    expect(response.headers.has('vary')).toBe(false);
  });

  test('loses its strong validator, because the bytes differ; a weak one is kept', async () => {
    const strong = await send('gzip', jsonResponse(TEXT, { ETag: '"v1"' }));
    expect(strong.headers.get('etag')).toBe('W/"v1"');
    const weak = await send('gzip', jsonResponse(TEXT, { ETag: 'W/"v1"' }));
    expect(weak.headers.get('etag')).toBe('W/"v1"');
  });
});

describe('the layer', () => {
  const init = { headers: { 'Accept-Encoding': 'gzip' } };

  test('compresses an asynchronous response', async () => {
    const { request, exchange } = exchangeOf(init, { compressible: true });
    const response = await compression()(async () => jsonResponse())(request, exchange);
    expect(gunzipSync(await response.bytes()).toString()).toBe(TEXT);
  });

  test('passes errors of the handler and of a broken body', async () => {
    const { request, exchange } = exchangeOf(init, { compressible: true });
    const throwing = compression()(() => {
      throw new Error('thrown');
    });
    expect(() => throwing(request, exchange)).toThrow('thrown');
    const rejecting = compression()(() => Promise.reject(new Error('rejected')));
    await expect(Promise.resolve(rejecting(request, exchange))).rejects.toThrow('rejected');
    const broken = new ReadableStream({ start: (controller) => controller.error(new Error('torn')) });
    await expect(Promise.resolve(send('gzip', jsonResponse(broken)))).rejects.toThrow('torn');
  });

  test('works after the exchange was aborted: an outer layer discards the response', async () => {
    const { request, exchange } = exchangeOf(init, { compressible: true });
    exchange.abort(new AbortReason('disconnect'));
    const response = await compression()(() => jsonResponse())(request, exchange);
    expect(response.headers.get('content-encoding')).toBe('gzip');
  });
});
