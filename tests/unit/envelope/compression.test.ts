import { describe, expect, test } from 'bun:test';
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib';
import { compression, negotiateEncoding } from '../../../src/envelope/compression.ts';
import { AbortReason } from '../../../src/envelope/exchange.ts';
import { exchangeOf, now } from '../../support/exchange.ts';

const TEXT = JSON.stringify({ text: 'atlas '.repeat(1000) });
const jsonAnswer = (body: BodyInit = TEXT, headers: Record<string, string> = {}) =>
  new Response(body, { headers: { 'Content-Type': 'application/json', ...headers } });

function send(acceptEncoding: string, answer: Response, init: RequestInit = {}, compressible = true) {
  const headers = { 'Accept-Encoding': acceptEncoding };
  const { request, exchange } = exchangeOf({ headers, ...init }, { compressible });
  return compression()(() => answer)(request, exchange);
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

describe('an answer', () => {
  test.each([
    ['gzip', gunzipSync],
    ['br', brotliDecompressSync],
    ['zstd', zstdDecompressSync],
  ])('in %s unpacks to what it was, and is smaller', async (encoding, unpack) => {
    const response = await send(encoding, jsonAnswer(TEXT, { 'Content-Length': String(TEXT.length) }));
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
    ['encoded already', () => jsonAnswer(TEXT, { 'Content-Encoding': 'gzip' })],
    ['a problem', () => new Response(TEXT, { status: 500, headers: { 'Content-Type': 'application/json' } })],
  ])('that is %s passes as it is, at once', (_, make) => {
    const answer = make();
    expect(now(send('gzip', answer))).toBe(answer);
    expect(answer.headers.has('vary')).toBe(false);
  });

  test('that is small passes uncompressed, but caches hear that it may vary', async () => {
    const response = await send('gzip', jsonAnswer('{}'));
    expect(response.headers.has('content-encoding')).toBe(false);
    expect(response.headers.get('vary')).toBe('Accept-Encoding');
    expect(await response.text()).toBe('{}');
  });

  test('to a caller who takes no encoding passes at once, and caches hear that it may vary', () => {
    const answer = jsonAnswer();
    expect(now(send('identity', answer))).toBe(answer);
    expect(answer.headers.get('vary')).toBe('Accept-Encoding');
  });

  test('to HEAD is not compressed', () => {
    const answer = jsonAnswer('');
    expect(now(send('gzip', answer, { method: 'HEAD' }))).toBe(answer);
  });

  test('of a route that is not marked is never looked at', () => {
    const answer = jsonAnswer();
    expect(now(send('gzip', answer, {}, false))).toBe(answer);
    expect(answer.headers.has('vary')).toBe(false);
  });

  test('loses its strong validator, for the bytes are others; a weak one stays', async () => {
    const strong = await send('gzip', jsonAnswer(TEXT, { ETag: '"v1"' }));
    expect(strong.headers.get('etag')).toBe('W/"v1"');
    const weak = await send('gzip', jsonAnswer(TEXT, { ETag: 'W/"v1"' }));
    expect(weak.headers.get('etag')).toBe('W/"v1"');
  });
});

describe('the layer', () => {
  const init = { headers: { 'Accept-Encoding': 'gzip' } };

  test('compresses an answer that comes later', async () => {
    const { request, exchange } = exchangeOf(init, { compressible: true });
    const response = await compression()(async () => jsonAnswer())(request, exchange);
    expect(gunzipSync(await response.bytes()).toString()).toBe(TEXT);
  });

  test('lets errors through, of the handler and of a body that breaks', async () => {
    const { request, exchange } = exchangeOf(init, { compressible: true });
    const throwing = compression()(() => {
      throw new Error('thrown');
    });
    expect(() => throwing(request, exchange)).toThrow('thrown');
    const rejecting = compression()(() => Promise.reject(new Error('rejected')));
    await expect(Promise.resolve(rejecting(request, exchange))).rejects.toThrow('rejected');
    const broken = new ReadableStream({ start: (controller) => controller.error(new Error('torn')) });
    await expect(Promise.resolve(send('gzip', jsonAnswer(broken)))).rejects.toThrow('torn');
  });

  test('does not mind that the exchange was given up: its answer is dropped further out', async () => {
    const { request, exchange } = exchangeOf(init, { compressible: true });
    exchange.abort(new AbortReason('disconnect'));
    const response = await compression()(() => jsonAnswer())(request, exchange);
    expect(response.headers.get('content-encoding')).toBe('gzip');
  });
});
