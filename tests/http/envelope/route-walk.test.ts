import { afterAll, beforeAll, beforeEach, expect, test } from 'bun:test';
import { isOperatorScope, isPersonalScope } from '../../../src/features/identity/scope-kinds.ts';
import { ALL_SCOPES, OPERATOR_SCOPES, SCOPES, TAGS } from '../../../src/features.ts';
import { BEFORE_SIGN_IN, isBeforeSignIn } from '../../support/before-sign-in.ts';
import { filesOf } from '../../support/source-tree.ts';
import { callWithoutKey, START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';
import { createUser } from '../../support/user-steps.ts';
import { expectProblem } from '../problem-assertions.ts';

let atlas: TestApp;
beforeAll(async () => {
  atlas = await startTestApp({ SECURITY_CONTACT: 'mailto:security@example.com' });
  // As a worker does before it serves.
  await until(async () => (await callWithoutKey(atlas, 'GET', '/openapi.json')).status === 200);
}, START_TIMEOUT_MS);
// While a document is generated, the loop is late, and callers without a key are refused.
beforeEach(async () => {
  await until(async () => (await callWithoutKey(atlas, 'GET', '/')).status === 200);
});
afterAll(() => atlas.close());

/** Returns a path that matches the pattern, with one of the names where they are fixed. */
const pathOf = (pattern: string) =>
  pattern
    .replace('/docs/assets/{name}', '/docs/assets/swagger-start.js')
    .replace('/problems/{code}', '/problems/internal')
    .replace('/quotas/{kind}', '/quotas/organization')
    .replaceAll(/\{\w+\}/g, '0198c0de-0000-7000-8000-000000000001');

/** Routes of presigned links, which require a signature instead of a key. */
const isLinked = (pattern: string) => pattern.startsWith('/v1/objects/');

test('every route under /v1 names a scope that exists, and no other route does', () => {
  expect(atlas.routes.length).toBeGreaterThan(15);
  expect(atlas.routes.filter(isBeforeSignIn)).toHaveLength(BEFORE_SIGN_IN.length);
  for (const { method, pattern, scope } of atlas.routes) {
    const needsKey = pattern.startsWith('/v1/') && !isLinked(pattern) && !isBeforeSignIn({ method, pattern });
    expect({ pattern, hasScope: scope !== null }).toEqual({ pattern, hasScope: needsKey });
    if (scope !== null) expect(Object.keys(SCOPES)).toContain(scope);
  }
});

test('every feature that is listed is built and mounted, with the tags it declares', () => {
  const contexts = filesOf('src/features/*/feature.ts').map((path) => path.split('/')[2]!);
  // A part of the ledger that needs files and documents, which are built after it.
  const parts = ['imports'];
  expect(Object.keys(atlas.features).sort()).toEqual([...contexts, ...parts].sort());
  const { paths } = atlas.openApi() as { paths: Record<string, Record<string, { tags: string[] }>> };
  const used = Object.values(paths).flatMap((path) => Object.values(path).flatMap(({ tags }) => tags));
  expect([...new Set(used)].sort()).toEqual(TAGS.toSorted());
});

test('without a key every route under /v1 returns 401', async () => {
  for (const { method, pattern, scope } of atlas.routes) {
    if (scope === null) continue;
    const response = await callWithoutKey(atlas, method, pathOf(pattern));
    expect({ pattern, challenge: response.headers.get('www-authenticate') }).toEqual({
      pattern,
      challenge: 'Bearer realm="atlas"',
    });
    await expectProblem(atlas, response, 401, 'unauthenticated');
  }
});

test('with a key of all scopes but the one it requires, every route under /v1 returns 403', async () => {
  for (const { method, pattern, scope } of atlas.routes) {
    if (scope === null) continue;
    const allBut = (scopes: readonly string[]) => scopes.filter((other) => other !== scope);
    // No session lacks the scopes of the person, and no key has them.
    const token = isOperatorScope(scope)
      ? await atlas.operatorKey(allBut(OPERATOR_SCOPES))
      : await atlas.key(allBut(ALL_SCOPES));
    const headers = { Authorization: `Bearer ${token}`, 'Idempotency-Key': 'walk' };
    const response = await atlas.call(method, pathOf(pattern), { headers });
    const { detail } = await expectProblem(atlas, response, 403, 'forbidden');
    expect(detail).toContain(scope);
  }
});

/** Returns the key of only this scope, or a session if no key can have it. */
async function tokenWith(scope: string): Promise<string> {
  if (isOperatorScope(scope)) return atlas.operatorKey([scope]);
  if (!isPersonalScope(scope)) return atlas.key([scope]);
  return (await createUser(atlas, { organization: 'walk' })).token;
}

test('with a key of only the scopes it requires, or a session, no route under /v1 returns 401 or 403', async () => {
  for (const { method, pattern, scope, alsoScope } of atlas.routes) {
    if (scope === null) continue;
    const token = alsoScope === undefined ? await tokenWith(scope) : await atlas.key([scope, alsoScope]);
    const { status } = await atlas.call(method, pathOf(pattern), {
      headers: { Authorization: `Bearer ${token}` },
    });
    expect({ pattern, refused: [401, 403].includes(status) }).toEqual({ pattern, refused: false });
  }
});

test('keys of organizations have no scope of operators or persons, and keys of operators no other, whatever is stored', async () => {
  const scopes = Object.keys(SCOPES);
  const operator = await atlas.operatorKey(scopes);
  const organization = await atlas.key(scopes);
  for (const { method, pattern, scope } of atlas.routes) {
    if (scope === null) continue;
    const token = isOperatorScope(scope) || isPersonalScope(scope) ? organization : operator;
    const headers = { Authorization: `Bearer ${token}`, 'Idempotency-Key': 'walk' };
    const response = await atlas.call(method, pathOf(pattern), { headers });
    await expectProblem(atlas, response, 403, 'forbidden');
  }
});

test('no key has a scope of sessions, whatever is stored', async () => {
  const scopes = Object.keys(SCOPES);
  const tokens = [await atlas.operatorKey(scopes), await atlas.key(scopes)];
  const personal = atlas.routes.filter(({ scope }) => scope !== null && isPersonalScope(scope));
  expect(personal.length).toBeGreaterThan(2);
  for (const { method, pattern } of personal)
    for (const token of tokens) {
      const headers = { Authorization: `Bearer ${token}` };
      await expectProblem(atlas, await atlas.call(method, pathOf(pattern), { headers }), 403, 'forbidden');
    }
});

test('without a signature, and with any key, routes of presigned links return 403', async () => {
  const linked = atlas.routes.filter(({ pattern }) => isLinked(pattern));
  expect(linked.map(({ method }) => method).sort()).toEqual(['GET', 'PUT']);
  for (const { method, pattern } of linked) {
    await expectProblem(atlas, await callWithoutKey(atlas, method, pathOf(pattern)), 403, 'link_invalid');
    await expectProblem(atlas, await atlas.call(method, pathOf(pattern)), 403, 'link_invalid');
  }
});

test('what a person does before having a session is refused for what is sent, never for want of a key', async () => {
  for (const { method, pattern } of atlas.routes.filter(isBeforeSignIn)) {
    const response = await callWithoutKey(atlas, method, pattern);
    // The way to a provider has no body, and this Atlas has no provider.
    if (method === 'GET') await expectProblem(atlas, response, 404, 'provider_off');
    else await expectProblem(atlas, response, 400, 'body_missing');
  }
});

test('every other route responds without a key, and with an invalid key', async () => {
  for (const { method, pattern, scope } of atlas.routes) {
    if (scope !== null || isLinked(pattern) || isBeforeSignIn({ method, pattern })) continue;
    for (const headers of [{}, { Authorization: 'Bearer none' }]) {
      const response = await callWithoutKey(atlas, method, pathOf(pattern), headers);
      expect({ pattern, status: response.status }).toEqual({ pattern, status: 200 });
    }
  }
});

test('a path that only resembles a route is not authorized', async () => {
  const paths = [
    '/v1/ping/',
    '//v1/ping',
    '/v1//ping',
    '/V1/ping',
    '/v1/PING',
    '/v1/ping%00',
    '/v1/ping%2F',
    '/v1%2Fping',
    '/v1/ping;a=b',
  ];
  for (const path of paths) {
    const { status } = await callWithoutKey(atlas, 'GET', path);
    expect({ path, status }).toEqual({ path, status: 404 });
  }
});

test('an encoded path is authorized as the route it matches', async () => {
  for (const path of ['/v1/%70ing', '/%76%31/ping', '/v1/%70%69%6E%67', '/v1/ledger/%76erification']) {
    await expectProblem(atlas, await callWithoutKey(atlas, 'GET', path), 401, 'unauthenticated');
    const headers = { Authorization: `Bearer ${await atlas.key(['accounts:read'])}` };
    await expectProblem(atlas, await atlas.call('GET', path, { headers }), 403, 'forbidden');
    expect((await atlas.call('GET', path)).status).toBe(200);
  }
});
