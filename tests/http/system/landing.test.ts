import { afterAll, beforeAll, expect, test } from 'bun:test';
import { callWithoutKey, START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';

interface Landing {
  readonly name: string;
  readonly version: string;
  readonly links: Readonly<Record<string, string>>;
}

let atlas: TestApp;
beforeAll(async () => {
  atlas = await startTestApp();
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

const get = (app: TestApp, path: string, accept?: string) =>
  callWithoutKey(app, 'GET', path, accept === undefined ? {} : { Accept: accept });

test.each([
  'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8',
  'application/json;q=0.5, TEXT/HTML;q=0.9',
])('GET / is a page for people: %s', async (accept) => {
  const response = await get(atlas, '/', accept);
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toBe('text/html; charset=UTF-8');
  expect(response.headers.get('vary')).toContain('Accept,');
  const html = await response.text();
  expect(html).not.toMatch(/(?:https?:)?\/\/\w|<script/);
  const targets = [...html.matchAll(/href="([^"]+)"/g)].map(([, target]) => target!);
  expect(targets.length).toBeGreaterThan(6);
  for (const target of new Set(targets)) {
    const { status } = await get(atlas, target);
    expect({ target, status }).toEqual({ target, status: 200 });
  }
});

test.each([undefined, '*/*', 'application/json', 'text/html;q=0, */*', 'text/htmlx'])(
  'GET / is a list of links for programs: %s',
  async (accept) => {
    const response = await get(atlas, '/', accept);
    expect(response.headers.get('content-type')).toBe('application/json');
    const { name, version, links } = (await response.json()) as Landing;
    expect({ name, version }).toEqual({ name: 'Atlas', version: expect.stringMatching(/^\d+\.\d+\.\d+/) });
    expect(Object.keys(links)).toEqual(expect.arrayContaining(['docs', 'openapi', 'health', 'metrics']));
    for (const path of Object.values(links)) expect((await get(atlas, path)).status).toBe(200);
  },
);

test('the icon of the pages exists', async () => {
  const response = await get(atlas, '/favicon.ico');
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toBe('image/x-icon');
  const bytes = new Uint8Array(await response.arrayBuffer());
  expect([...bytes.subarray(0, 4)]).toEqual([0, 0, 1, 0]);
  const again = await callWithoutKey(atlas, 'GET', '/favicon.ico', {
    'If-None-Match': response.headers.get('etag')!,
  });
  expect(again.status).toBe(304);
});

test('without documentation and metrics, no link leads to them', async () => {
  const closed = await startTestApp({ DOCS_ENABLED: 'false', PROMETHEUS_ENABLED: 'false' });
  const { links } = (await (await get(closed, '/')).json()) as Landing;
  expect(Object.keys(links)).toEqual(['health', 'readiness', 'dependencies']);
  expect(await (await get(closed, '/', 'text/html')).text()).not.toContain('/docs');
  await closed.close();
});
