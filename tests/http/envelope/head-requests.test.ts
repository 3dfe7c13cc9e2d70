import { afterAll, beforeAll, expect, test } from 'bun:test';
import { openAccount } from '../../support/ledger-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { createWebhook } from '../../support/webhook-steps.ts';
import { type RawResponse, type RawServer, serveRaw } from '../raw-http.ts';

let atlas: TestApp;
let server: RawServer;
let paths: string[];
beforeAll(async () => {
  atlas = await startTestApp({
    WEBHOOKS_ALLOWED_HOSTS: '127.0.0.1',
    CORS_ALLOWED_ORIGINS: 'https://a.example',
  });
  server = serveRaw(atlas);
  const { id } = await openAccount(atlas, { metadata: { note: 'é'.repeat(400) } });
  for (let i = 0; i < 10; i++) await openAccount(atlas);
  const webhook = await createWebhook(atlas, { url: 'http://127.0.0.1:9/' });
  const bytes = new TextEncoder().encode('hello '.repeat(100));
  const upload = await atlas.call('POST', '/v1/files?name=a.txt', { body: bytes });
  const file = (await upload.json()) as { id: string };
  const link = (await (await atlas.call('POST', `/v1/files/${file.id}/link`)).json()) as { url: string };
  const ids: Record<string, string> = { accounts: id, webhooks: webhook.id, files: file.id };
  // Every route of GET, with an ID that exists where there is one, and what no route has.
  const routes = atlas.routes.filter(({ method }) => method === 'GET').map(({ pattern }) => pattern);
  paths = routes
    .filter((pattern) => !['/v1/events/stream', '/metrics', '/health/deep', '/health'].includes(pattern))
    .map((pattern) =>
      pattern
        .replace('/v1/objects/files/{realm}/{id}', link.url)
        .replace('/docs/assets/{name}', '/docs/assets/redoc-start.js')
        .replace('/problems/{code}', '/problems/internal')
        .replace(/\/v1\/(\w+)\/\{id\}/, (whole, name) => (ids[name] ? `/v1/${name}/${ids[name]}` : whole))
        .replaceAll(/\{\w+\}/g, '0198c0de-0000-7000-8000-000000000001'),
    );
  expect(paths.length).toBeGreaterThan(18);
  paths.push('/nothing', '/v1/transfers', '/v1/accounts/one', '/v1/accounts?limit=0');
}, START_TIMEOUT_MS);
afterAll(async () => {
  await server.stop();
  await atlas.close();
});

const send = async (method: string, path: string, lines: readonly string[]): Promise<RawResponse> =>
  server.send([`${method} ${path} HTTP/1.1`, 'Host: atlas.test', 'X-Request-ID: same', ...lines]);
const headOf = ({ status, headers }: RawResponse) => {
  const fields = [...headers].filter(
    ([name]) => !['date', 'content-length', 'transfer-encoding'].includes(name),
  );
  return { status, fields: Object.fromEntries(fields) };
};
const lengthOf = ({ headers }: RawResponse) => headers.get('content-length');

test('HEAD returns the head of GET with the length of its body, of every route, compressed or not', async () => {
  const authorization = `Authorization: Bearer ${await atlas.key()}`;
  for (const lines of [
    [authorization],
    [authorization, 'Accept-Encoding: gzip'],
    [authorization, 'Accept-Encoding: zstd', 'Origin: https://a.example'],
    [],
  ]) {
    for (const path of paths) {
      const [get, head] = [await send('GET', path, lines), await send('HEAD', path, lines)];
      expect({ path, body: head.body, ...headOf(head) }).toEqual({ path, body: '', ...headOf(get) });
      // A body whose length is known only at its end has none in either.
      const length = lengthOf(get) ?? (path.includes('/files/') ? '600' : null);
      expect({ path, length: lengthOf(head) }).toEqual({ path, length });
    }
  }
});

test('HEAD returns a length above 0 of what differs from one GET to the next', async () => {
  for (const path of ['/metrics', '/health', '/health/deep']) {
    expect(Number(lengthOf(await send('HEAD', path, [])))).toBeGreaterThan(50);
  }
});

test('HEAD of an event stream has no length, and opens no stream', async () => {
  const authorization = `Authorization: Bearer ${await atlas.key()}`;
  const head = await send('HEAD', '/v1/events/stream', [authorization]);
  expect([head.status, head.body, lengthOf(head)]).toEqual([200, '', null]);
  expect(head.headers.get('content-type')).toBe('text/event-stream');
  expect(atlas.streams.stats().open).toBe(0);
});
