import { afterAll, beforeAll, expect, test } from 'bun:test';
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib';
import { openAccount } from '../../support/ledger-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';

let atlas: TestApp;
let single: string;
beforeAll(async () => {
  atlas = await startTestApp();
  const metadata = { note: 'x'.repeat(500), other: 'y'.repeat(500), third: 'z'.repeat(500) };
  for (let i = 0; i < 10; i++) single = `/v1/accounts/${(await openAccount(atlas, { metadata })).id}`;
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

const DECODERS = { gzip: gunzipSync, br: brotliDecompressSync, zstd: zstdDecompressSync };
const read = (path: string, accept: string | null, method = 'GET') =>
  atlas.call(method, path, { headers: accept === null ? {} : { 'Accept-Encoding': accept } });

test.each([
  ['gzip', 'gzip'],
  ['br', 'br'],
  ['zstd', 'zstd'],
  ['gzip, deflate, br, zstd', 'zstd'],
  ['gzip;q=0.5, br;q=0.9', 'br'],
  ['zstd;q=0, *', 'gzip'],
  ['GZIP', 'gzip'],
] as const)('a list is compressed as a caller with %p likes best: %s', async (accept, encoding) => {
  const plain = await (await read('/v1/accounts', null)).text();
  const response = await read('/v1/accounts', accept);
  expect(response.headers.get('content-encoding')).toBe(encoding);
  expect(response.headers.get('content-type')).toStartWith('application/json');
  expect(response.headers.get('vary')).toContain('Accept-Encoding');
  const squeezed = new Uint8Array(await response.arrayBuffer());
  expect(squeezed.byteLength).toBeLessThan(plain.length);
  expect(DECODERS[encoding](squeezed).toString()).toBe(plain);
});

test.each([null, 'identity', 'gzip;q=0', 'deflate', '*;q=0', ''])(
  'a caller with %p gets an uncompressed list that varies by Accept-Encoding',
  async (accept) => {
    const response = await read('/v1/accounts', accept);
    expect(response.headers.has('content-encoding')).toBe(false);
    expect(response.headers.get('vary')).toContain('Accept-Encoding');
    expect(((await response.json()) as { accounts: object[] }).accounts).toHaveLength(10);
  },
);

test('small responses, single resources, and problems are never compressed', async () => {
  const empty = await startTestApp();
  const list = await empty.call('GET', '/v1/accounts', { headers: { 'Accept-Encoding': 'gzip' } });
  expect(await list.json()).toEqual({ accounts: [], nextCursor: null });
  await empty.close();
  for (const response of [list, await read(single, 'gzip'), await read('/v1/accounts?limit=0', 'gzip')]) {
    expect(response.headers.has('content-encoding')).toBe(false);
  }
});

test('HEAD of a list has the Content-Encoding of GET, whose length it reports', async () => {
  const response = await read('/v1/accounts', 'gzip', 'HEAD');
  expect([response.status, response.headers.get('content-encoding')]).toEqual([200, 'gzip']);
});

test('the OpenAPI document and the pages are compressed too', async () => {
  for (const path of ['/openapi.json', '/docs/assets/redoc.js', '/metrics']) {
    expect((await read(path, 'gzip')).headers.get('content-encoding')).toBe('gzip');
  }
});
