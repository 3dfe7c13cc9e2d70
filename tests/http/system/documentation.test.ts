import { afterAll, beforeAll, expect, test } from 'bun:test';
import { callWithoutKey, START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { expectProblem } from '../problem-assertions.ts';

let atlas: TestApp;
beforeAll(async () => {
  atlas = await startTestApp();
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css',
  '.js': 'text/javascript',
  '.ico': 'image/x-icon',
};
const STRICT = [
  "default-src 'none'",
  "script-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
];

test.each(['/docs', '/redoc'])('%s is a page that loads everything from this host', async (path) => {
  const response = await callWithoutKey(atlas, 'GET', path);
  expect(response.headers.get('content-type')).toStartWith('text/html');
  const policy = response.headers.get('content-security-policy')!.split('; ');
  expect(policy).toEqual(expect.arrayContaining(STRICT));
  expect(policy.join('; ')).not.toMatch(/https?:|\*|unsafe-eval|script-src[^;]*unsafe-inline/);
  const html = await response.text();
  expect(html).not.toMatch(/(?:https?:)?\/\/\w/);
  expect(html).not.toMatch(/<script(?![^>]* src=)/);
  const assets = [...html.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map(([, asset]) => asset!);
  expect(assets.length).toBeGreaterThan(1);
  for (const asset of assets) {
    const loaded = await callWithoutKey(atlas, 'GET', asset);
    const type = TYPES[asset.slice(asset.lastIndexOf('.'))]!;
    expect({ asset, status: loaded.status, type: loaded.headers.get('content-type') }).toEqual({
      asset,
      status: 200,
      type,
    });
    expect((await loaded.text()).length).toBeGreaterThan(50);
  }
});

test.each([
  'package.json',
  '..%2f..%2fpackage.json',
  '%2e%2e%2fapp.ts',
  '%2fetc%2fpasswd',
  'swagger-ui.css%00',
  'constructor',
])('the file %s is not served', async (name) => {
  const response = await callWithoutKey(atlas, 'GET', `/docs/assets/${name}`);
  expect([400, 404]).toContain(response.status);
  expect(await response.text()).not.toMatch(/root:|"dependencies"|swagger-ui \{/);
});

const STATIC = [
  ...['/docs', '/redoc', '/openapi.json', '/asyncapi.json', '/problems/not_found'],
  ...['swagger-ui.css', 'swagger-ui.js', 'swagger-start.js', 'redoc.js', 'redoc-start.js'].map(
    (name) => `/docs/assets/${name}`,
  ),
];

test.each(STATIC)(
  '%s has a strong ETag in each encoding, and a caller that has it gets 304',
  async (path) => {
    for (const encoding of ['gzip', 'br', 'zstd', 'identity']) {
      const accept = { 'Accept-Encoding': encoding };
      const first = await callWithoutKey(atlas, 'GET', path, accept);
      const etag = first.headers.get('etag')!;
      expect(etag).toStartWith('"');
      expect(first.headers.get('vary')).toBe('Accept-Encoding');
      const again = await callWithoutKey(atlas, 'GET', path, { ...accept, 'If-None-Match': etag });
      expect({ status: again.status, etag: again.headers.get('etag') }).toEqual({ status: 304, etag });
      const other = await callWithoutKey(atlas, 'GET', path, { ...accept, 'If-None-Match': '"other"' });
      expect(await other.bytes()).toEqual(await first.bytes());
    }
  },
);

test('the pages can be disabled', async () => {
  const closed = await startTestApp({ DOCS_ENABLED: 'false' });
  for (const path of ['/docs', '/redoc', '/openapi.json', '/asyncapi.json', '/docs/assets/redoc.js']) {
    await expectProblem(closed, await callWithoutKey(closed, 'GET', path), 404, 'not_found');
  }
  await closed.close();
});
