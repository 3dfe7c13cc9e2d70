import { beforeEach, describe, expect, test } from 'bun:test';
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib';
import { ResponseHeaders } from '../../../src/envelope/response-headers.ts';
import { StaticContent } from '../../../src/http/static-content.ts';
import { compress } from '../../../src/utils/content-encoding.ts';
import { exchangeOf, now } from '../../support/exchange.ts';

const TEXT = 'Atlas '.repeat(5000);
const DECODERS = { gzip: gunzipSync, br: brotliDecompressSync, zstd: zstdDecompressSync };

let loads: number;
let content: StaticContent;
beforeEach(() => {
  loads = 0;
  content = contentOf(async () => TEXT);
});

function contentOf(load: () => Promise<string | Uint8Array>, fields = {}): StaticContent {
  return new StaticContent({
    type: 'text/javascript',
    fields: { 'cache-control': 'public, max-age=3600', ...fields },
    load: () => {
      loads++;
      return load();
    },
  });
}

function get(headers: Record<string, string> = {}, from = content): Response | Promise<Response> {
  const { request, exchange } = exchangeOf({ headers });
  exchange.requestId = 'of this request';
  exchange.responseHeaders = new ResponseHeaders({ 'x-content-type-options': 'nosniff' });
  return from.respond(request, exchange);
}

test('it is loaded and compressed once, and from then on it is served synchronously', async () => {
  const first = await Promise.all(Array.from({ length: 50 }, () => get({ 'Accept-Encoding': 'gzip' })));
  for (const response of first) expect(gunzipSync(await response.bytes()).toString()).toBe(TEXT);
  for (let i = 0; i < 50; i++) {
    const response = now(get({ 'Accept-Encoding': 'gzip' }));
    expect(gunzipSync(await response.bytes()).toString()).toBe(TEXT);
  }
  expect(await now(get()).text()).toBe(TEXT);
  expect(loads).toBe(1);
});

describe.each(['gzip', 'br', 'zstd'] as const)('in %s', (encoding) => {
  test('it has its type, its fields, those of every response, and the ID of the request', async () => {
    const response = await get({ 'Accept-Encoding': encoding });
    expect(DECODERS[encoding](await response.clone().bytes()).toString()).toBe(TEXT);
    expect(Object.fromEntries(response.headers)).toEqual({
      'cache-control': 'public, max-age=3600',
      'content-encoding': encoding,
      'content-type': 'text/javascript',
      etag: expect.stringMatching(/^"[\w-]{43}"$/),
      vary: 'Accept-Encoding',
      'x-content-type-options': 'nosniff',
      'x-request-id': 'of this request',
    });
  });
});

test('each encoding has its own strong ETag, which stays the same', async () => {
  const etagOf = async (encoding: string, from = content) =>
    (await get({ 'Accept-Encoding': encoding }, from)).headers.get('etag')!;
  const etags = await Promise.all(['gzip', 'br', 'zstd', 'identity'].map((encoding) => etagOf(encoding)));
  expect(new Set(etags).size).toBe(4);
  expect(await etagOf('gzip')).toBe(etags[0]!);
  // Of another worker, or another start.
  expect(
    await etagOf(
      'gzip',
      contentOf(async () => TEXT),
    ),
  ).toBe(etags[0]!);
  expect(
    await etagOf(
      'gzip',
      contentOf(async () => `${TEXT}!`),
    ),
  ).not.toBe(etags[0]!);
});

test('a caller that has it gets 304 without a body, and one that has another encoding gets it', async () => {
  const etag = (await get({ 'Accept-Encoding': 'gzip' })).headers.get('etag')!;
  for (const known of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
    const response = now(get({ 'Accept-Encoding': 'gzip', 'If-None-Match': known }));
    expect(response.status).toBe(304);
    expect(await response.text()).toBe('');
    expect(Object.fromEntries(response.headers)).toEqual({
      'cache-control': 'public, max-age=3600',
      etag,
      vary: 'Accept-Encoding',
      'x-content-type-options': 'nosniff',
      'x-request-id': 'of this request',
    });
  }
  expect((await get({ 'Accept-Encoding': 'zstd', 'If-None-Match': etag })).status).toBe(200);
  expect((await get({ 'If-None-Match': etag })).status).toBe(200);
});

test('small content is not compressed', async () => {
  const small = 'x'.repeat(1023);
  const response = await get(
    { 'Accept-Encoding': 'gzip' },
    contentOf(async () => small),
  );
  expect(response.headers.has('content-encoding')).toBe(false);
  expect(await response.text()).toBe(small);
  const larger = await get(
    { 'Accept-Encoding': 'gzip' },
    contentOf(async () => `${small}x`),
  );
  expect(larger.headers.get('content-encoding')).toBe('gzip');
});

test('it is compressed as small as it gets, since that is done once', async () => {
  const bytes = new TextEncoder().encode(TEXT);
  for (const encoding of ['gzip', 'br', 'zstd'] as const) {
    const response = await get({ 'Accept-Encoding': encoding });
    expect(await response.bytes()).toEqual(await compress(bytes, encoding, 'small'));
  }
});

test('bytes are served as they are, and nothing of the buffer that they are a part of', async () => {
  const buffer = new Uint8Array([1, 2, 0xc3, 0x28, 255, 6]);
  const response = await get(
    {},
    contentOf(async () => buffer.subarray(2, 5)),
  );
  expect([...(await response.bytes())]).toEqual([0xc3, 0x28, 255]);
});

test('content that varies by another field of the request also says so', async () => {
  const varying = contentOf(async () => TEXT, { vary: 'Accept' });
  expect((await get({}, varying)).headers.get('vary')).toBe('Accept, Accept-Encoding');
});

test('content that could not be loaded is loaded again', async () => {
  let isBroken = true;
  const broken = contentOf(async () => {
    if (isBroken) throw new Error('unreadable');
    return TEXT;
  });
  await expect(Promise.resolve(get({ 'Accept-Encoding': 'gzip' }, broken))).rejects.toThrow('unreadable');
  isBroken = false;
  expect(await (await get({}, broken)).text()).toBe(TEXT);
  expect((await get({ 'Accept-Encoding': 'gzip' }, broken)).status).toBe(200);
  expect(loads).toBe(2);
});
