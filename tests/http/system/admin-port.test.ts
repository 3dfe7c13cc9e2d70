import { afterAll, beforeAll, expect, test } from 'bun:test';
import { freePort } from '../../../infra/free-port.ts';
import {
  callWhenOnTime,
  callWithoutKey,
  START_TIMEOUT_MS,
  startTestApp,
  type TestApp,
} from '../../support/test-app.ts';

const PRIVATE = ['/metrics', '/health/deep'];
const OPEN = ['/health', '/health/ready', '/health/live'];

let atlas: TestApp;
let admin: Pick<TestApp, 'fetch'>;
beforeAll(async () => {
  atlas = await startTestApp({
    ADMIN_PORT: String(await freePort()),
    CORS_ALLOWED_ORIGINS: 'https://a.example',
  });
  admin = { fetch: atlas.fetchAdmin };
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

/** What a response shows, but for its own ID. */
async function shownBy(response: Response) {
  const { headers, status } = response;
  const fields = Object.fromEntries([...headers].filter(([name]) => name !== 'x-request-id'));
  const body = (await response.text()).replaceAll(headers.get('x-request-id')!, 'ID');
  return { status, fields, body };
}

test.each(PRIVATE)('with an admin port, %s of the API is like any path that does not exist', async (path) => {
  for (const method of ['GET', 'HEAD', 'POST', 'OPTIONS', 'PROPFIND']) {
    const headers = method === 'OPTIONS' ? { Origin: 'https://b.example' } : {};
    const [hidden, missing] = await Promise.all(
      [path, '/nothing'].map(async (of) => shownBy(await callWithoutKey(atlas, method, of, headers))),
    );
    expect({ method, ...hidden!, body: hidden!.body.replaceAll(path, '/nothing') }).toEqual({
      method,
      ...missing!,
    });
    expect(hidden!.status).toBe(404);
  }
});

test('with an admin port, neither the documents nor the landing page of the API name what is on it', async () => {
  const document = (await (await atlas.call('GET', '/openapi.json')).json()) as { paths: object };
  expect(Object.keys(document.paths)).toEqual(expect.arrayContaining(OPEN));
  const landing = (await (await callWithoutKey(atlas, 'GET', '/')).json()) as { links: object };
  const page = await (await callWithoutKey(atlas, 'GET', '/', { Accept: 'text/html' })).text();
  for (const path of PRIVATE) {
    expect(Object.keys(document.paths)).not.toContain(path);
    expect(Object.values(landing.links)).not.toContain(path);
    expect(page).not.toContain(path);
  }
});

test('the health that load balancers need stays on the port of the API', async () => {
  for (const path of OPEN) expect((await callWithoutKey(atlas, 'GET', path)).status).toBe(200);
});

test('the admin port serves metrics and health, with counts of both ports', async () => {
  for (const path of OPEN) expect((await callWithoutKey(admin, 'GET', path)).status).toBe(200);
  const deep = await callWithoutKey(admin, 'GET', '/health/deep');
  expect(await deep.json()).toMatchObject({ dependencies: [{ name: 'postgresql' }, { name: 'files' }] });
  await callWithoutKey(atlas, 'GET', '/v1/ping');
  const metrics = await (await callWithoutKey(admin, 'GET', '/metrics')).text();
  expect(metrics).toMatch(/atlas_api_http_requests_total\{.*endpoint="\/v1\/ping".*\} 1\n/);
  expect(metrics).toMatch(/atlas_api_http_requests_total\{.*endpoint="\/health\/deep".*\} 1\n/);
});

test('each port names the methods that its own routes support', async () => {
  const allowed = async (port: Pick<TestApp, 'fetch'>, path: string) => {
    const response = await callWhenOnTime(port, 'PUT', path);
    return { status: response.status, allow: response.headers.get('allow') };
  };
  const supported = { status: 405, allow: 'GET, HEAD' };
  for (const path of [...PRIVATE, ...OPEN]) expect(await allowed(admin, path)).toEqual(supported);
  for (const path of OPEN) expect(await allowed(atlas, path)).toEqual(supported);
  for (const path of PRIVATE) expect(await allowed(atlas, path)).toEqual({ status: 404, allow: null });
  expect(await allowed(admin, '/v1/accounts')).toEqual({ status: 404, allow: null });
});

test('the admin port serves nothing else, with or without a key', async () => {
  const headers = { Authorization: `Bearer ${await atlas.key()}` };
  for (const { method, pattern, sheddable } of atlas.routes) {
    if (!sheddable) continue;
    const { status } = await callWhenOnTime(admin, method, pattern.replaceAll(/\{\w+\}/g, 'x'), headers);
    expect({ method, pattern, status }).toEqual({ method, pattern, status: 404 });
  }
});

test('without metrics, the admin port has health alone', async () => {
  const closed = await startTestApp({ ADMIN_PORT: '1', PROMETHEUS_ENABLED: 'false' });
  const port = { fetch: closed.fetchAdmin };
  expect((await callWithoutKey(port, 'GET', '/metrics')).status).toBe(404);
  expect((await callWithoutKey(port, 'GET', '/health/deep')).status).toBe(200);
  await closed.close();
});
