import { describe, expect, test } from 'bun:test';
import { OpenAPIHono } from '@hono/zod-openapi';
import fc from 'fast-check';
import { Hono } from 'hono';
import { createApp } from '../../../src/app.ts';
import { loadConfig } from '../../../src/config.ts';
import { openDeps } from '../../../src/deps.ts';
import { enterRoute } from '../../../src/envelope/enter-route.ts';
import { Exchange } from '../../../src/envelope/exchange.ts';
import { PROBLEM_KINDS } from '../../../src/features.ts';
import { createToProblem } from '../../../src/http/problem.ts';
import { compileRoutes } from '../../../src/http/resolve-route.ts';
import { RouteTable } from '../../../src/http/route.ts';
import { createLogger } from '../../../src/instrumentation/logger.ts';

// The real list of routes. Nothing is opened: the pool connects with its first query, and the test runs none.
const environment = { ENVIRONMENT: 'test', DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none' };
const { config } = loadConfig(environment, 'no such file');
const { routes } = createApp(await openDeps(config, createLogger(config, { write: () => {} })));
const { resolve, allowedMethods, all } = compileRoutes(routes, 30_000);

const nameOf = (route: { method: string; pattern: string }) => `${route.method} ${route.pattern}`;
const responseOf = (name: string) => () => new Response(null, { headers: { 'x-route': name } });

/** The same routes mounted by `RouteTable`, with handlers that return their pattern. */
const mounted = new OpenAPIHono<{ Bindings: Exchange }>();
const table = new RouteTable(mounted, PROBLEM_KINDS);
/** The same routes in a plain Hono app. */
const bare = new Hono();
for (const fact of routes) {
  const description = { operationId: nameOf(fact), summary: '', tag: '', tier: fact.tier, responses: {} };
  table.mount(
    { method: fact.method.toLowerCase() as 'get', path: fact.pattern, scope: null, ...description },
    responseOf(nameOf(fact)),
  );
  bare.on(fact.method, fact.pattern.replaceAll(/\{(\w+)\}/g, ':$1'), responseOf(nameOf(fact)));
}

const unmatched = () => new Response(null, { status: 404 });
const toProblem = createToProblem(PROBLEM_KINDS, { unexpected: () => {}, unavailable: () => {} });
const enter = enterRoute(table.handlers, unmatched, toProblem);

/** A request as it arrives from a socket. A real `Request` would normalize the path. */
const rawRequest = (method: string, path: string) =>
  ({ method, url: `http://atlas.test${path}`, headers: new Headers() }) as Request;

const METHODS = ['HEAD', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PURGE', 'get'];
const method = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('GET', 'POST') },
  { weight: 1, arbitrary: fc.constantFrom(...METHODS) },
);
const encoded = (text: string) => text.replaceAll(/./g, (c) => `%${c.charCodeAt(0).toString(16)}`);
const realSegments = [...new Set(routes.flatMap(({ pattern }) => pattern.split('/').slice(1)))];
const realSegment = fc.constantFrom(...realSegments);
const segment = fc.oneof(
  { weight: 6, arbitrary: realSegment },
  { weight: 1, arbitrary: realSegment.map(encoded) },
  { weight: 1, arbitrary: realSegment.map((text) => encoded(text.slice(0, 1)) + text.slice(1)) },
  { weight: 1, arbitrary: realSegment.map((text) => encodeURIComponent(encoded(text))) },
  { weight: 1, arbitrary: realSegment.map((text) => text.toUpperCase()) },
  { weight: 1, arbitrary: fc.uuid() },
  { weight: 1, arbitrary: fc.webFragments() },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '',
      '.',
      '..',
      '%2e%2e',
      '%2F',
      '%00',
      '%',
      '%zz',
      '%ff',
      '*',
      ':id',
      ';',
      'é',
    ),
  },
);
const tail = fc.constantFrom('', '', '', '/', '//', '?', '?a=/v1/ping', '/?x', '#/v1/ping', '%3Fa', '%2F');
const realPath = fc.constantFrom(...routes.map(({ pattern }) => pattern.split('/').slice(1)));
const path = fc
  .tuple(
    fc.oneof(
      fc.array(segment, { maxLength: 5 }),
      realPath,
      // A real path with one of its segments changed.
      fc
        .tuple(realPath, fc.nat(3), segment)
        .map(([parts, at, other]) => parts.with(at % parts.length, other)),
    ),
    tail,
  )
  .map(([parts, end]) => `/${parts.join('/')}${end}`);

describe('the route that is resolved before routing', () => {
  test('is the route whose handler runs, for any path and method', async () => {
    let found = 0;
    await fc.assert(
      fc.asyncProperty(method, path, async (httpMethod, at) => {
        const request = rawRequest(httpMethod, at);
        const route = resolve(request);
        const response = await enter(request, new Exchange(request, route, 0));
        const expected = route.pattern === 'unmatched' ? null : nameOf(route);
        expect(response.headers.get('x-route')).toBe(expected);
        if (expected !== null) found++;
        // Hono itself runs the same handler, or none.
        const byHono = await mounted.fetch(request, new Exchange(request, route, 0));
        expect(byHono.headers.get('x-route')).toBe(expected);
      }),
      { numRuns: 3000, seed: 4 },
    );
    // The paths resemble the real ones enough that many match and many do not.
    expect(found).toBeGreaterThan(300);
    expect(found).toBeLessThan(2700);
  });

  test('is what a plain Hono matches, except that a concrete path hides templates for its other methods', async () => {
    await fc.assert(
      fc.asyncProperty(method, path, async (httpMethod, at) => {
        const request = rawRequest(httpMethod, at);
        const route = resolve(request);
        const matched = (await bare.fetch(request)).headers.get('x-route');
        if (route.pattern !== 'unmatched') expect(matched).toBe(nameOf(route));
        else if (matched !== null) {
          const [concrete] = decodeURI(at).split(/[?#]/);
          expect(routes.some(({ pattern }) => pattern === concrete)).toBe(true);
        }
      }),
      { numRuns: 3000, seed: 5 },
    );
  });

  test.each([
    ['GET', '/v1/accounts', '/v1/accounts'],
    ['GET', '/v1/%61ccounts', '/v1/accounts'],
    ['HEAD', '/v1/accounts', '/v1/accounts'],
    ['GET', '/v1/accounts?limit=1', '/v1/accounts'],
    ['GET', '/v1/accounts/%2e%2e', '/v1/accounts/{id}'],
    ['POST', '/v1/transfers/batch', '/v1/transfers/batch'],
    ['GET', '/v1/transfers/batch', 'unmatched'],
    ['GET', '/v1/accounts/', 'unmatched'],
    ['GET', '//v1/accounts', 'unmatched'],
    ['GET', '/V1/accounts', 'unmatched'],
    ['DELETE', '/v1/accounts', 'unmatched'],
    ['get', '/v1/accounts', 'unmatched'],
  ])('of %s %s is %s', (method, at, pattern) => {
    expect(resolve(rawRequest(method, at)).pattern).toBe(pattern);
  });

  test('is the same however often the URL was seen, for each method', () => {
    for (let i = 0; i < 3; i++) {
      expect(nameOf(resolve(rawRequest('GET', '/v1/accounts')))).toBe('GET /v1/accounts');
      expect(nameOf(resolve(rawRequest('POST', '/v1/accounts')))).toBe('POST /v1/accounts');
      expect(nameOf(resolve(rawRequest('HEAD', '/v1/accounts')))).toBe('GET /v1/accounts');
      expect(resolve(rawRequest('DELETE', '/v1/accounts')).pattern).toBe('unmatched');
      expect(nameOf(resolve(rawRequest('GET', `/v1/accounts?limit=${i}`)))).toBe('GET /v1/accounts');
      expect(resolve(rawRequest('GET', '/v1/transfers/batch')).pattern).toBe('unmatched');
    }
  });

  test('is still looked up by its URL after a caller has sent many hosts', () => {
    for (let i = 0; i < 1000; i++)
      resolve({ ...rawRequest('GET', ''), url: `http://host-${i}.test/v1/accounts` } as Request);
    let reads = 0;
    const request = {
      ...rawRequest('GET', ''),
      get url() {
        reads++;
        return 'http://atlas.test/v1/accounts';
      },
    } as Request;
    resolve(request);
    const first = reads;
    resolve(request);
    // A URL that is known is read once; finding its path reads it again.
    expect([first > 1, reads - first]).toEqual([true, 1]);
  });

  test('is at its own index in the list, so that its stats are separate', () => {
    expect(all.map(({ index }) => index)).toEqual(all.map((_, i) => i));
    for (const route of all) expect(all[route.index]).toBe(route);
  });

  test('has the method even without a match, from a closed list', () => {
    expect(resolve(rawRequest('TRACE', '/nowhere'))).toMatchObject({ method: 'TRACE', sheddable: true });
    expect(resolve(rawRequest('PURGE', '/nowhere')).method).toBe('OTHER');
  });
});

test('a matcher knows what it returns for requests that no route matches, and nothing else', () => {
  const whole = compileRoutes(routes, 30_000);
  const part = whole.only(({ method }) => method === 'GET');
  const [inWhole, inPart] = [whole, part].map(({ resolve }) => resolve(rawRequest('GET', '/nowhere')));
  const matched = whole.resolve(rawRequest('GET', '/v1/accounts'));
  expect([inWhole!, inPart!, matched].map(whole.isUnmatched)).toEqual([true, false, false]);
  expect([inWhole!, inPart!, matched].map(part.isUnmatched)).toEqual([false, true, false]);
  // Both are counted as one.
  expect(inPart!).toEqual(inWhole!);
});

describe('the methods that a path allows', () => {
  test.each([
    ['/v1/accounts', ['GET', 'HEAD', 'POST']],
    ['/v1/%61ccounts', ['GET', 'HEAD', 'POST']],
    ['/v1/sets', ['POST']],
    ['/v1/transfers/batch', ['POST']],
    ['/v1/transfers/0198c0de-0000-7000-8000-000000000001', ['GET', 'HEAD']],
    ['/nowhere', []],
  ])('%s are %p', (at, methods) => {
    expect(allowedMethods(rawRequest('DELETE', at))).toEqual(methods);
  });
});
