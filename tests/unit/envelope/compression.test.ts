import { describe, expect, test } from 'bun:test';
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib';
import { compression } from '../../../src/envelope/compression.ts';
import { CompressionBudget } from '../../../src/envelope/compression-budget.ts';
import { AbortReason, type Exchange } from '../../../src/envelope/exchange.ts';
import { loadShedding } from '../../../src/envelope/load-shedding.ts';
import { compress } from '../../../src/utils/content-encoding.ts';
import { exchangeOf, now, plainProblem } from '../../support/exchange.ts';
import { principalOf } from '../../support/principal.ts';

const TEXT = JSON.stringify({ text: 'atlas '.repeat(1000) });
const jsonResponse = (body: BodyInit = TEXT, headers: Record<string, string> = {}) =>
  new Response(body, { headers: { 'Content-Type': 'application/json', ...headers } });

const layer = compression(new CompressionBudget(() => false));

function send(acceptEncoding: string, response: Response, init: RequestInit = {}, compressible = true) {
  const headers = { 'Accept-Encoding': acceptEncoding };
  const { request, exchange } = exchangeOf({ headers, ...init }, { compressible });
  return layer(() => response)(request, exchange);
}

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

  test('to HEAD is compressed like that to GET, since its head describes it', async () => {
    const response = await send('gzip', jsonResponse(), { method: 'HEAD' });
    expect(response.headers.get('content-encoding')).toBe('gzip');
  });

  test('of a route that is not marked is not inspected', () => {
    const response = jsonResponse();
    expect(now(send('gzip', response, {}, false))).toBe(response);
    expect(response.headers.has('vary')).toBe(false);
  });

  test.each(['gzip', 'br', 'zstd'] as const)('compressed with %s is compressed fast', async (encoding) => {
    const response = await send(encoding, jsonResponse());
    const fast = await compress(new TextEncoder().encode(TEXT), encoding, 'fast');
    expect(await response.bytes()).toEqual(fast);
  });

  test('compressed with brotli may be large', async () => {
    const text = JSON.stringify(Array.from({ length: 20_000 }, (_, i) => ({ i })));
    const response = await send('br', jsonResponse(text));
    expect(response.headers.get('content-encoding')).toBe('br');
    expect(brotliDecompressSync(await response.bytes()).toString()).toBe(text);
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
    const response = await layer(async () => jsonResponse())(request, exchange);
    expect(gunzipSync(await response.bytes()).toString()).toBe(TEXT);
  });

  test('passes errors of the handler and of a broken body', async () => {
    const { request, exchange } = exchangeOf(init, { compressible: true });
    const throwing = layer(() => {
      throw new Error('thrown');
    });
    expect(() => throwing(request, exchange)).toThrow('thrown');
    const rejecting = layer(() => Promise.reject(new Error('rejected')));
    await expect(Promise.resolve(rejecting(request, exchange))).rejects.toThrow('rejected');
    const broken = new ReadableStream({ start: (controller) => controller.error(new Error('torn')) });
    await expect(Promise.resolve(send('gzip', jsonResponse(broken)))).rejects.toThrow('torn');
  });

  test('works after the exchange was aborted: an outer layer discards the response', async () => {
    const { request, exchange } = exchangeOf(init, { compressible: true });
    exchange.abort(new AbortReason('disconnect'));
    const response = await layer(() => jsonResponse())(request, exchange);
    expect(response.headers.get('content-encoding')).toBe('gzip');
  });
});

describe('the budget', () => {
  const init = { headers: { 'Accept-Encoding': 'gzip' } };
  const respond = (budget: CompressionBudget, owner: string | null = null, response = jsonResponse()) => {
    const { request, exchange } = exchangeOf(init, { compressible: true });
    if (owner !== null) exchange.principal = principalOf(owner);
    return compression(budget)(() => response)(request, exchange);
  };
  const encodingOf = (response: Response) => response.headers.get('content-encoding');

  test('is spent: responses pass uncompressed and synchronously, and vary by Accept-Encoding', async () => {
    const budget = new CompressionBudget(() => false);
    const running = Array.from({ length: 40 }, (_, i) => respond(budget, i % 2 === 0 ? 'a' : 'b'));
    const response = jsonResponse();
    expect(now(respond(budget, 'c', response))).toBe(response);
    expect(response.headers.get('vary')).toBe('Accept-Encoding');
    const encodings = (await Promise.all(running)).map(encodingOf);
    expect(encodings.filter((encoding) => encoding === 'gzip')).toHaveLength(16);
    expect(encodingOf(await respond(budget, 'c'))).toBe('gzip');
  });

  test('is not spent by one owner, nor by all callers without a key together', async () => {
    for (const greedy of ['a', null]) {
      const budget = new CompressionBudget(() => false);
      const running = Array.from({ length: 40 }, () => respond(budget, greedy));
      const other = respond(budget, 'b');
      expect(encodingOf(await other)).toBe('gzip');
      expect((await Promise.all(running)).filter((response) => encodingOf(response) !== null)).toHaveLength(
        8,
      );
    }
  });

  test('covers bytes: a body above the share of its owner passes with all its bytes', async () => {
    const budget = new CompressionBudget(() => false);
    const large = 'x'.repeat(5_000_000);
    const response = await respond(budget, 'a', jsonResponse(large));
    expect(encodingOf(response)).toBeNull();
    expect(await response.text()).toBe(large);
    expect(encodingOf(await respond(budget, 'a'))).toBe('gzip');
  });

  test('is returned by responses that are too small, and by bodies that break', async () => {
    const budget = new CompressionBudget(() => false);
    for (let i = 0; i < 40; i++) {
      await respond(budget, 'a', jsonResponse('x'.repeat(1023)));
      const broken = new ReadableStream({ start: (controller) => controller.error(new Error('torn')) });
      await expect(Promise.resolve(respond(budget, 'a', jsonResponse(broken)))).rejects.toThrow('torn');
    }
    expect(budget.outcomes).toEqual({ compressed: 0, full: 0, late: 0 });
    expect(encodingOf(await respond(budget, 'a', jsonResponse('x'.repeat(1024))))).toBe('gzip');
  });

  test('is nothing while the event loop is late', async () => {
    let isLate = true;
    const budget = new CompressionBudget(() => isLate);
    const response = jsonResponse();
    expect(now(respond(budget, 'a', response))).toBe(response);
    isLate = false;
    expect(encodingOf(await respond(budget, 'a'))).toBe('gzip');
    expect(budget.outcomes).toEqual({ compressed: 1, full: 0, late: 1 });
  });
});

test('a permit is held until the compressed body is complete, and the time is not that of the route', async () => {
  const { request, exchange } = exchangeOf(
    { headers: { 'Accept-Encoding': 'gzip' } },
    { compressible: true },
  );
  const budget = new CompressionBudget(() => false);
  const releasedMs: (number | undefined)[] = [];
  const admission = {
    pass: () => {},
    admit: () => null,
    expectBody: () => null,
    expectChunks: () => null,
    reserve: () => null,
    begin: () => null,
    release: (_: Exchange, __: number, nowMs?: number) => {
      // The outcome is counted once the body is compressed.
      expect(budget.outcomes.compressed).toBe(1);
      releasedMs.push(nowMs);
    },
  };
  const pipeline = loadShedding(admission, plainProblem)(compression(budget)(() => jsonResponse()));
  const response = pipeline(request, exchange);
  expect(releasedMs).toEqual([]);
  expect((await response).headers.get('content-encoding')).toBe('gzip');
  expect(releasedMs).toEqual([exchange.endedMs]);
});
