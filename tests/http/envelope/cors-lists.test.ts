import { afterAll, beforeAll, expect, test } from 'bun:test';
import { textOf } from '../../support/source-tree.ts';
import { callWithoutKey, START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import recorded from './response-heads/heads.json';

const ORIGIN = 'https://app.example.com';
// Scripts can always read these (Fetch standard, section 2.2.2), or never set those.
const ALWAYS_READABLE = ['cache-control', 'content-language', 'content-length', 'content-type', 'expires'];
const NEVER_SENT = ['accept-encoding', 'origin'];
// For browsers and proxies, and of no use to a script.
const FOR_BROWSERS =
  /^(?:access-control-.*|connection|content-encoding|content-security-policy|cross-origin-resource-policy|referrer-policy|strict-transport-security|transfer-encoding|vary|x-accel-buffering|x-content-type-options)$/;

let atlas: TestApp;
beforeAll(async () => {
  atlas = await startTestApp({ CORS_ALLOWED_ORIGINS: ORIGIN });
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

const listOf = (header: string | null) => header!.toLowerCase().split(', ');
async function allowed() {
  const headers = { Origin: ORIGIN, 'Access-Control-Request-Method': 'POST' };
  const preflight = await callWithoutKey(atlas, 'OPTIONS', '/v1/transfers', headers);
  return {
    methods: preflight.headers.get('access-control-allow-methods')!.split(', '),
    names: listOf(preflight.headers.get('access-control-allow-headers')),
  };
}
async function exposed() {
  const response = await atlas.call('GET', '/v1/ping', { headers: { Origin: ORIGIN } });
  return listOf(response.headers.get('access-control-expose-headers'));
}
type Operation = {
  parameters?: { in: string; name: string }[];
  responses: Record<string, { headers?: Record<string, object> }>;
};
const operations = () =>
  Object.values((atlas.openApi() as { paths: Record<string, Record<string, Operation>> }).paths).flatMap(
    (path) => Object.values(path),
  );

test('a page may send every header that the contract or the docs name, with every method', async () => {
  const parameters = operations().flatMap(({ parameters: all = [] }) =>
    all.filter((one) => one.in === 'header'),
  );
  const table = textOf('docs/api/reliability-endpoints.md')
    .split('## Request headers')[1]!
    .split('\n## ')[0]!;
  const documented = [...table.matchAll(/^\|([^|]*)\|/gm)].flatMap(([, cell]) =>
    [...cell!.matchAll(/`([\w-]+)`/g)].map(([, name]) => name!),
  );
  expect([parameters.length > 10, documented.length > 6]).toEqual([true, true]);
  const names = ['authorization', 'content-type', ...parameters.map(({ name }) => name), ...documented];
  const missing = names.map((name) => name.toLowerCase()).filter((name) => !NEVER_SENT.includes(name));
  const { names: list, methods } = await allowed();
  expect(missing.filter((name) => !list.includes(name))).toEqual([]);
  expect(methods).toEqual([...new Set(atlas.routes.map(({ method }) => method))].sort());
});

test('a page may read every header that the contract names, and every one that responses have', async () => {
  const documented = operations().flatMap(({ responses }) =>
    Object.values(responses).flatMap(({ headers = {} }) => Object.keys(headers)),
  );
  const sent = recorded.flatMap(({ fields }) => Object.keys(fields));
  const names = new Set([...documented, ...sent].map((name) => name.toLowerCase()));
  expect(names.size).toBeGreaterThan(20);
  const list = await exposed();
  const missing = [...names].filter((name) => !list.includes(name) && !ALWAYS_READABLE.includes(name));
  expect(missing.filter((name) => !FOR_BROWSERS.test(name))).toEqual([]);
});
