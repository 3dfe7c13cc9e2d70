import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import {
  bearer,
  createUser,
  PASSWORD,
  passwordHash,
  signIn,
  type UserFacts,
  type Visit,
  visit,
} from '../../support/user-steps.ts';
import { expectProblem } from '../problem-assertions.ts';

let atlas: TestApp;
beforeAll(async () => {
  atlas = await startTestApp({ PUBLIC_URL: 'https://atlas.example.com' });
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());
afterEach(async () => {
  await atlas.sql`DELETE FROM attempts`;
});

const person = async (facts: UserFacts = {}) =>
  createUser(atlas, { passwordHash: await passwordHash(), ...facts });

describe('a page of this Atlas', () => {
  const SAME = { 'Sec-Fetch-Site': 'same-origin' };
  const cookieOf = (response: Response) => response.headers.get('set-cookie')!.split(';')[0]!;
  const signInPage = async (email: string, headers: Record<string, string> = SAME) =>
    signIn(atlas, email, PASSWORD, { json: { cookie: true }, headers });
  const withCookie = async (facts: UserFacts = {}) => {
    const { email } = await person(facts);
    return cookieOf(await signInPage(email));
  };
  const send = (method: string, path: string, headers: Record<string, string>, more: Visit = {}) =>
    visit(atlas, method, path, { headers, ...more });

  test('gets the token in a cookie that scripts and other sites cannot read', async () => {
    const response = await signInPage((await person()).email);
    expect(await response.json()).toMatchObject({ token: null });
    expect(response.headers.get('set-cookie')).toMatch(
      /^__Host-atlas_session=atlas_session_\w+; Max-Age=12\d{5}; Path=\/; Secure; HttpOnly; SameSite=Strict$/,
    );
    expect((await send('GET', '/v1/users/me', { Cookie: `a=b; ${cookieOf(response)}; c=d` })).status).toBe(
      200,
    );
  });

  test('gets nothing that a cache may keep, and programs get what they got before', async () => {
    const { email, token } = await person({ organization: 'uncached' });
    const cookie = cookieOf(await signInPage(email));
    for (const path of ['/v1/users/me', '/v1/accounts', '/v1/organizations']) {
      const byPage = await send('GET', path, { Cookie: cookie });
      expect([path, byPage.status, byPage.headers.get('cache-control')]).toEqual([path, 200, 'no-store']);
      const byProgram = await send('GET', path, bearer(token));
      expect([path, byProgram.status, byProgram.headers.get('cache-control')]).toEqual([path, 200, null]);
    }
    const renamed = await send(
      'PATCH',
      '/v1/users/me',
      { Cookie: cookie, ...SAME },
      { json: { name: 'Ada' } },
    );
    expect([renamed.status, renamed.headers.get('cache-control')]).toEqual([200, 'no-store']);
  });

  test.each([[{ 'Sec-Fetch-Site': 'same-site' }], [{}]])(
    'keeps its session when a page of another host signs somebody else in (%j)',
    async (headers) => {
      const { email } = await person();
      const cookie = cookieOf(await signInPage(email));
      const other = await signIn(atlas, (await person()).email, PASSWORD, {
        headers: { Cookie: cookie, ...headers },
      });
      expect(other.status).toBe(201);
      expect((await send('GET', '/v1/users/me', { Cookie: cookie })).status).toBe(200);
      expect(
        await atlas.sql`
        SELECT FROM sessions s JOIN users u ON u.id = s.user_id WHERE u.email = ${email}`,
      ).toHaveLength(2);
    },
  );

  test('changes what the person asks for, and gets the next cookie', async () => {
    const cookie = await withCookie({ organization: 'paged' });
    const json = { organization: 'paged' };
    const path = '/v1/sessions/current/organization';
    const rotated = await send('PUT', path, { Cookie: cookie, ...SAME }, { json });
    expect(await rotated.json()).toMatchObject({ token: null });
    const next = cookieOf(rotated);
    expect(next).not.toBe(cookie);
    const ended = await send('DELETE', '/v1/sessions/current', { Cookie: next, ...SAME });
    expect([ended.status, ended.headers.get('set-cookie')]).toEqual([
      204,
      '__Host-atlas_session=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Strict',
    ]);
  });

  test.each([
    ['without either header', {}],
    ['from another site', { 'Sec-Fetch-Site': 'cross-site' }],
    ['from another host of the domain', { 'Sec-Fetch-Site': 'same-site' }],
    ['from no page', { 'Sec-Fetch-Site': 'none' }],
    [
      'from another site that claims the origin',
      { 'Sec-Fetch-Site': 'cross-site', Origin: 'https://atlas.example.com' },
    ],
    ['with another origin', { Origin: 'https://evil.example.com' }],
    ['with the origin without TLS', { Origin: 'http://atlas.example.com' }],
    ['with no origin', { Origin: 'null' }],
  ])('is the only one whose changes the cookie authorizes: not %s', async (_, headers) => {
    const cookie = await withCookie({ organization: 'forged' });
    for (const [method, path] of [
      ['PATCH', '/v1/users/me'],
      ['DELETE', '/v1/sessions'],
      ['POST', '/v1/accounts'],
      ['DELETE', '/v1/users/me'],
    ] as const) {
      const response = await send(method, path, { Cookie: cookie, 'Content-Type': 'text/plain', ...headers });
      await expectProblem(atlas, response, 403, 'cross_site_request');
    }
    const email = (await person()).email;
    await expectProblem(atlas, await signInPage(email, headers), 403, 'cross_site_request');
    expect((await send('GET', '/v1/users/me', { Cookie: cookie, ...headers })).status).toBe(200);
  });

  test('is known by its origin in a browser that does not send where a request comes from', async () => {
    const headers = { Cookie: await withCookie(), Origin: 'https://atlas.example.com' };
    expect((await send('PATCH', '/v1/users/me', headers, { json: { name: 'x' } })).status).toBe(200);
  });

  test('cannot send JSON as text: a form of another site could', async () => {
    const headers = { Cookie: await withCookie(), ...SAME, 'Content-Type': 'text/plain' };
    const request = new Request('http://atlas.test/v1/users/me', {
      method: 'PATCH',
      headers: { Host: 'atlas.test', ...headers },
      body: '{"name":"x"}',
    });
    await expectProblem(atlas, await atlas.fetch(request), 415, 'unsupported_media_type');
  });

  test('does not act by the cookie if the request has an Authorization header, whatever it says', async () => {
    const cookie = await withCookie({ organization: 'both' });
    for (const Authorization of ['Bearer none', 'Basic eDp5', 'Bearer', 'x'])
      expect((await send('GET', '/v1/users/me', { Cookie: cookie, Authorization })).status).toBe(401);
    const { token, id } = await person();
    const response = await send('GET', '/v1/users/me', { Cookie: cookie, ...bearer(token) });
    expect(await response.json()).toMatchObject({ id });
  });

  test('does not act by one of two cookies, by another name, or by the cookie of an API key', async () => {
    const [one, two] = [await withCookie(), await withCookie()];
    const key = await atlas.key();
    for (const cookie of [
      `${one}; ${two}`,
      `${two}; ${one}`,
      `${one}; __Host-atlas_session=`,
      one.replace('__Host-', ''),
      one.replace('__Host-', '__host-'),
      `__Host-atlas_session=${key}`,
      '__Host-atlas_session',
      '__Host-atlas_session=""',
    ])
      expect((await send('GET', '/v1/users/me', { Cookie: cookie })).status).toBe(401);
  });

  // Browsers keep other hosts of the domain from names that begin with the prefix, byte by byte.
  test.each(['\u00a0', '\u0085'])(
    'does not act by a cookie that another host of the domain can set: with the byte %j at its name',
    async (byte) => {
      const cookie = await withCookie();
      expect((await send('GET', '/v1/users/me', { Cookie: `a=b; \t${cookie} ; c=d` })).status).toBe(200);
      for (const name of [`${byte}__Host-atlas_session`, `__Host-atlas_session${byte}`]) {
        const tossed = cookie.replace('__Host-atlas_session', name);
        expect((await send('GET', '/v1/users/me', { Cookie: `a=b; ${tossed}` })).status).toBe(401);
        expect((await send('GET', '/v1/users/me', { Cookie: `${tossed}; ${cookie}` })).status).toBe(200);
      }
    },
  );
});
