import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import type { AuthorizationFlow, IdentityProvider } from '../../../src/adapters/oidc/identity-provider.ts';
import { openIdProvider } from '../../../src/adapters/oidc/openid-provider.ts';
import {
  type Lies,
  type LyingProvider,
  metadataOf,
  startLyingProvider,
} from '../../support/lying-provider.ts';
import { Browser, CLIENT, startProvider } from '../../support/openid-provider.ts';
import { until } from '../../support/until.ts';

const ORIGIN = 'http://127.0.0.1:8000';
const FLOW: AuthorizationFlow = {
  redirectUri: `${ORIGIN}/v1/sessions/oidc/callback`,
  state: 'a'.repeat(43),
  nonce: 'b'.repeat(43),
  verifier: 'c'.repeat(43),
  maxAgeSeconds: 60,
};
const { signal } = new AbortController();

const open = (issuer: string): IdentityProvider =>
  openIdProvider({
    issuer,
    clientId: CLIENT.id,
    clientSecret: CLIENT.secret,
    name: 'Example SSO',
    failureThreshold: 3,
    recoveryTimeoutMs: 60_000,
  });
const callback = (query: Record<string, string> = {}) =>
  new URL(`${FLOW.redirectUri}?${new URLSearchParams({ code: 'c', state: FLOW.state, ...query })}`);

describe('a real provider', () => {
  test('identifies somebody with code, PKCE, state and nonce, and not a second time with the same code', async () => {
    const real = await startProvider(ORIGIN);
    // The text of a provider, which others may show reordered.
    const name = 'Ada\u202eByron';
    real.accounts.set('ada', { email: 'ada@example.com', email_verified: true, name });
    try {
      const provider = open(real.issuer);
      const location = new URL(await provider.authorizationUrl(FLOW, signal));
      expect(Object.fromEntries(location.searchParams)).toMatchObject({
        response_type: 'code',
        client_id: CLIENT.id,
        redirect_uri: FLOW.redirectUri,
        scope: 'openid email profile',
        code_challenge_method: 'S256',
        state: FLOW.state,
        nonce: FLOW.nonce,
        max_age: '60',
      });
      expect(location.href).not.toContain(FLOW.verifier);
      const back = new URL(await new Browser().signInAt(location.href, 'ada'));
      const identify = (flow = FLOW) => provider.identify(back, flow, signal);
      // A code that was stolen is worth nothing without the verifier.
      await expect(identify({ ...FLOW, verifier: 'x'.repeat(43) })).rejects.toMatchObject({
        code: 'provider_sign_in_failed',
      });
      const again = new URL(
        await new Browser().signInAt(await provider.authorizationUrl(FLOW, signal), 'ada'),
      );
      expect(await provider.identify(again, FLOW, signal)).toEqual({
        issuer: real.issuer,
        subject: 'ada',
        email: 'ada@example.com',
        isEmailVerified: true,
        name: 'Ada Byron',
        authenticatedAt: expect.any(Date),
      });
      await expect(provider.identify(again, FLOW, signal)).rejects.toMatchObject({
        code: 'provider_sign_in_failed',
      });
    } finally {
      await real.stop();
    }
  });
});

describe('when somebody signed in at a real provider', () => {
  test('is what it says, also if they are signed in there by then, and they sign in again if that is too long ago', async () => {
    const real = await startProvider(ORIGIN);
    real.accounts.set('ada', { email: 'ada@example.com', email_verified: true, name: 'Ada' });
    try {
      const provider = open(real.issuer);
      const browser = new Browser();
      const signIn = async (maxAgeSeconds: number) => {
        const flow = { ...FLOW, maxAgeSeconds };
        const back = await browser.signInAt(await provider.authorizationUrl(flow, signal), 'ada');
        return (await provider.identify(new URL(back), flow, signal)).authenticatedAt.getTime();
      };
      const first = await signIn(600);
      expect(Math.abs(Date.now() - first)).toBeLessThan(60_000);
      // The provider counts seconds.
      await until(() => Date.now() >= first + 2000);
      expect(await signIn(600)).toBe(first);
      expect(await signIn(1)).toBeGreaterThan(first);
    } finally {
      await real.stop();
    }
  });
});

describe('a provider that lies', () => {
  let liar: LyingProvider;
  let provider: IdentityProvider;
  beforeEach(() => {
    liar = startLyingProvider(CLIENT.id);
    liar.nonce = FLOW.nonce;
    provider = open(liar.issuer);
  });
  afterEach(() => liar.stop());

  test('is believed while it does not', async () => {
    expect(await provider.identify(callback(), FLOW, signal)).toMatchObject({ subject: 'liar' });
  });

  const now = Math.floor(Date.now() / 1000);
  test.each<[string, Lies]>([
    ['another nonce', { claims: { nonce: 'd'.repeat(43) } }],
    ['no nonce', { claims: { nonce: undefined } }],
    ['another audience', { claims: { aud: 'somebody else' } }],
    ['more than one audience without saying for whom', { claims: { aud: ['atlas', 'somebody else'] } }],
    ['another issuer', { claims: { iss: 'https://evil.example' } }],
    ['a token that has expired', { claims: { exp: now - 3600, iat: now - 7200 } }],
    ['no subject', { claims: { sub: undefined } }],
    ['a subject that is too long', { claims: { sub: 's'.repeat(256) } }],
    ['a subject that cannot be stored', { claims: { sub: 'a\0b' } }],
    ['a subject that looks like others when it is stored', { claims: { sub: 'a\ud800' } }],
    ['an unsigned token', { algorithm: 'none' }],
    ['a token signed with the public key as a secret', { algorithm: 'HS256' }],
    ['a token signed by somebody else', { otherKey: true }],
    ['no token', { noIdToken: true }],
  ])('signs nobody in with %s', async (_, lies) => {
    liar.lies = lies;
    await expect(provider.identify(callback(), FLOW, signal)).rejects.toMatchObject({
      code: 'provider_sign_in_failed',
    });
  });

  test.each<[string, Record<string, string>]>([
    ['another state', { state: 'e'.repeat(43) }],
    ['another issuer', { iss: 'https://evil.example' }],
    ['an error', { error: 'access_denied' }],
  ])('signs nobody in with %s on the way back, and is not even called', async (_, query) => {
    await expect(provider.identify(callback(query), FLOW, signal)).rejects.toMatchObject({
      code: 'provider_sign_in_failed',
    });
    expect(liar.calls).toEqual(['/.well-known/openid-configuration']);
  });

  test.each<[string, NonNullable<Lies['on']>]>([
    ['is down', () => new Response('no', { status: 503 })],
    ['sends too much', () => Response.json({ ...metadataOf(liar.issuer), more: 'x'.repeat(2_000_000) })],
    ['sends no JSON', () => new Response('<html>')],
    ['redirects elsewhere', () => Response.redirect('http://127.0.0.1:1/elsewhere')],
    [
      'says that it is another one',
      (path) =>
        path.startsWith('/.well-known')
          ? Response.json({ issuer: 'https://evil.example', token_endpoint: 'https://evil.example/token' })
          : undefined,
    ],
  ])('is reported as unavailable when it %s', async (_, on) => {
    liar.lies = { on };
    const failed = { code: 'provider_unavailable', retryAfterSeconds: 10 };
    await expect(provider.authorizationUrl(FLOW, signal)).rejects.toMatchObject(failed);
  });

  test('that never responds is given up with the request', async () => {
    liar.lies = { on: () => new Promise<Response>(() => {}) };
    const request = new AbortController();
    const waiting = provider.authorizationUrl(FLOW, request.signal);
    setTimeout(() => request.abort(new Error('the caller is gone')), 50);
    await expect(waiting).rejects.toThrow('the caller is gone');
  });

  test('that fails again and again is not called any more for a while', async () => {
    liar.lies = { on: () => new Response('no', { status: 503 }) };
    for (let i = 0; i < 6; i++)
      await expect(provider.authorizationUrl(FLOW, signal)).rejects.toMatchObject({
        code: 'provider_unavailable',
      });
    expect(liar.calls.length).toBeLessThan(6);
    expect(provider.dependency.stats().state).toBe('open');
  });

  test('its metadata and keys are read once for many sign-ins, and not before the first', async () => {
    expect(liar.calls).toEqual([]);
    for (let i = 0; i < 5; i++) await provider.identify(callback(), FLOW, signal);
    expect(liar.calls.filter((path) => path !== '/token')).toEqual([
      '/.well-known/openid-configuration',
      '/jwks',
    ]);
  });
});
