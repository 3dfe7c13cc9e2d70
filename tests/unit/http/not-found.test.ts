import { expect, test } from 'bun:test';
import { PROBLEM_KINDS } from '../../../src/features.ts';
import { notFound } from '../../../src/http/not-found.ts';
import { createToProblem } from '../../../src/http/problem.ts';
import { compileRoutes } from '../../../src/http/resolve-route.ts';
import { exchangeOf, now, routeOf } from '../../support/exchange.ts';

const resolved = compileRoutes([routeOf({ method: 'GET' }), routeOf({ method: 'POST' })], 30_000);
const toProblem = createToProblem(PROBLEM_KINDS, { unexpected: () => {}, unavailable: () => {} });
const handle = notFound(resolved, toProblem);

function send(method: string, path: string): Response {
  const { request, exchange } = exchangeOf({ method, url: `http://atlas.test${path}` });
  return now(handle(request, exchange));
}

test('an unknown path is a 404', async () => {
  const response = send('GET', '/nothing');
  expect(response.status).toBe(404);
  expect(response.headers.has('allow')).toBe(false);
  expect(await response.json()).toMatchObject({ type: '/problems/not_found' });
});

test('a known path with another method is a 405 that lists the allowed ones', async () => {
  const response = send('DELETE', '/things');
  expect(response.status).toBe(405);
  expect(response.headers.get('allow')).toBe('GET, HEAD, POST');
  expect(await response.json()).toMatchObject({
    type: '/problems/method_not_allowed',
    detail: 'This path supports GET, HEAD, POST.',
  });
});
