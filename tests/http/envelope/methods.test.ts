import { afterAll, beforeAll, expect, test } from 'bun:test';
import { openAccount } from '../../support/ledger-steps.ts';
import { callWithoutKey, START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { expectProblem } from '../problem-assertions.ts';

const ORIGIN = 'https://app.example.com';
let atlas: TestApp;
beforeAll(async () => {
  atlas = await startTestApp({ CORS_ALLOWED_ORIGINS: `${ORIGIN}, https://other.example.com` });
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

const corsHeaders = ({ headers }: Response) =>
  [...headers.keys()].filter((name) => name.startsWith('access-control-')).sort();

test.each(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND'])(
  '%s of an unknown path is a 404',
  async (method) => {
    for (const path of ['//', '/v1', '/v2/ping', '/v1/accounts/a/b/c', '/favicon.png', '/%', '/%E0%A4%A']) {
      await expectProblem(atlas, await atlas.call(method, path), 404, 'not_found');
    }
  },
);

test.each([
  ['DELETE', '/v1/accounts', 'GET, HEAD, POST'],
  ['PUT', `/v1/accounts/${crypto.randomUUID()}`, 'GET, HEAD, PATCH'],
  ['GET', '/v1/sets', 'POST'],
  ['HEAD', '/v1/sets', 'POST'],
  ['GET', '/v1/transfers/batch', 'POST'],
  ['POST', '/health', 'GET, HEAD'],
  ['OPTIONS', '/v1/ping', 'GET, HEAD'],
  ['PROPFIND', '/metrics', 'GET, HEAD'],
])('%s %s is a 405 that allows %s', async (method, path, allow) => {
  const response = await atlas.call(method, path);
  expect({ status: response.status, allow: response.headers.get('allow') }).toEqual({ status: 405, allow });
  if (method !== 'HEAD') await expectProblem(atlas, response, 405, 'method_not_allowed');
});

test('HEAD responds like GET, and needs the same key', async () => {
  const { id } = await openAccount(atlas);
  for (const path of [
    '/v1/ping',
    '/v1/accounts',
    `/v1/accounts/${id}`,
    '/docs',
    '/openapi.json',
    '/health/live',
  ]) {
    const [get, head] = [await atlas.call('GET', path), await atlas.call('HEAD', path)];
    expect({ path, status: head.status }).toEqual({ path, status: 200 });
    expect(head.headers.get('content-type')).toBe(get.headers.get('content-type'));
  }
  expect((await callWithoutKey(atlas, 'HEAD', '/v1/ping')).status).toBe(401);
  expect((await atlas.call('HEAD', '/v1/nothing')).status).toBe(404);
});

test('every response has the security headers, including errors and preflights', async () => {
  const preflight = { Origin: ORIGIN, 'Access-Control-Request-Method': 'POST' };
  const responses = [
    await atlas.call('GET', '/v1/ping'),
    await callWithoutKey(atlas, 'GET', '/v1/ping'),
    await atlas.call('GET', '/nothing'),
    await callWithoutKey(atlas, 'OPTIONS', '/v1/transfers', preflight),
  ];
  for (const { headers } of responses) {
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('content-security-policy')).toBe("default-src 'none'; frame-ancestors 'none'");
    expect(headers.get('strict-transport-security')).toBeNull();
    expect(headers.get('x-request-id')).not.toBeNull();
  }
});

test('in production responses have HSTS', async () => {
  const production = await startTestApp({ ENVIRONMENT: 'production' });
  const { headers } = await callWithoutKey(production, 'GET', '/health');
  expect(headers.get('strict-transport-security')).toMatch(/^max-age=\d{8}/);
  await production.close();
});

test('the preflight of an allowed origin lists what it may send, and needs no key', async () => {
  const headers = {
    Origin: ORIGIN,
    'Access-Control-Request-Method': 'POST',
    'Access-Control-Request-Headers': 'x-evil',
  };
  const response = await callWithoutKey(atlas, 'OPTIONS', '/v1/transfers', headers);
  expect(response.status).toBe(204);
  expect(response.headers.get('access-control-allow-origin')).toBe(ORIGIN);
  expect(response.headers.get('access-control-allow-methods')).toContain('POST');
  const allowed = response.headers.get('access-control-allow-headers')!;
  for (const name of ['Authorization', 'Idempotency-Key', 'Content-Type']) expect(allowed).toContain(name);
  expect(allowed).not.toContain('x-evil');
  expect(response.headers.has('access-control-allow-credentials')).toBe(false);
  expect(response.headers.get('vary')).toContain('Origin');
});

test.each([
  'https://evil.example.com',
  'null',
  `${ORIGIN}.evil.com`,
  'http://app.example.com',
  `${ORIGIN}:8443`,
])('the origin %s is not allowed, neither by preflight nor by response', async (origin) => {
  const headers = { Origin: origin, 'Access-Control-Request-Method': 'POST' };
  const preflight = await callWithoutKey(atlas, 'OPTIONS', '/v1/transfers', headers);
  const response = await atlas.call('GET', '/v1/ping', { headers: { Origin: origin } });
  expect([...corsHeaders(preflight), ...corsHeaders(response)]).toEqual([]);
  expect(response.headers.get('vary')).toContain('Origin');
});

test('a page of an allowed origin can read responses, problems, and their headers', async () => {
  for (const path of ['/v1/ping', '/nothing']) {
    const response = await atlas.call('GET', path, { headers: { Origin: ORIGIN } });
    expect(response.headers.get('access-control-allow-origin')).toBe(ORIGIN);
    expect(response.headers.get('access-control-expose-headers')).toContain('X-Request-ID');
  }
});

test('without a list no origin is allowed', async () => {
  const closed = await startTestApp();
  const response = await closed.call('GET', '/v1/ping', { headers: { Origin: ORIGIN } });
  expect(corsHeaders(response)).toEqual([]);
  await closed.close();
});
