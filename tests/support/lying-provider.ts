import { createSign, generateKeyPairSync } from 'node:crypto';

const KEYS = generateKeyPairSync('rsa', { modulusLength: 2048 });
const OTHER_KEYS = generateKeyPairSync('rsa', { modulusLength: 2048 });
const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** What a provider does that does not do as it should. */
export interface Lies {
  /** Of the ID token, over those that are right. */
  claims?: Record<string, unknown>;
  algorithm?: 'RS256' | 'none' | 'HS256';
  /** Signs with a key that is not its own. */
  otherKey?: boolean;
  /** Leaves the ID token out. */
  noIdToken?: boolean;
  /** Responds to requests for this path in another way. */
  on?: (path: string) => Response | Promise<Response> | undefined;
}

/** A provider that says what a test has it say, and counts what it is called for. */
export interface LyingProvider {
  readonly issuer: string;
  lies: Lies;
  /** Of the authorization request, which the test has read. */
  nonce: string;
  readonly calls: string[];
  stop(): Promise<void>;
}

/** Starts one on loopback. */
export function startLyingProvider(clientId: string): LyingProvider {
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch: async (request) => {
      const { pathname } = new URL(request.url);
      provider.calls.push(pathname);
      const other = await provider.lies.on?.(pathname);
      if (other !== undefined) return other;
      if (pathname === '/.well-known/openid-configuration') return Response.json(metadataOf(provider.issuer));
      if (pathname === '/jwks') return Response.json({ keys: [jwk()] });
      const token = { access_token: 'a', token_type: 'bearer', expires_in: 60 };
      return Response.json(
        provider.lies.noIdToken ? token : { ...token, id_token: idToken(provider, clientId) },
      );
    },
  });
  const provider: LyingProvider = {
    issuer: `http://127.0.0.1:${server.port}`,
    lies: {},
    nonce: '',
    calls: [],
    stop: () => server.stop(true),
  };
  return provider;
}

/** What a provider publishes about itself. */
export const metadataOf = (issuer: string) => ({
  issuer,
  authorization_endpoint: `${issuer}/authorize`,
  token_endpoint: `${issuer}/token`,
  jwks_uri: `${issuer}/jwks`,
  response_types_supported: ['code'],
  subject_types_supported: ['public'],
  id_token_signing_alg_values_supported: ['RS256', 'none', 'HS256'],
});

const jwk = () => ({ ...KEYS.publicKey.export({ format: 'jwk' }), kid: 'k', use: 'sig', alg: 'RS256' });

function idToken({ issuer, nonce, lies }: LyingProvider, clientId: string): string {
  const now = Math.floor(Date.now() / 1000);
  const right = { iss: issuer, aud: clientId, sub: 'liar', iat: now, exp: now + 60, nonce };
  const { algorithm = 'RS256', otherKey, claims } = lies;
  const signed = `${part({ alg: algorithm, kid: 'k' })}.${part({ ...right, email: 'liar@example.com', email_verified: true, ...claims })}`;
  if (algorithm === 'none') return `${signed}.`;
  if (algorithm === 'HS256') {
    // With the public key as the secret, which everybody knows.
    const secret = KEYS.publicKey.export({ format: 'pem', type: 'spki' });
    return `${signed}.${new Bun.CryptoHasher('sha256', secret).update(signed).digest('base64url')}`;
  }
  const key = (otherKey ? OTHER_KEYS : KEYS).privateKey;
  return `${signed}.${createSign('RSA-SHA256').update(signed).sign(key, 'base64url')}`;
}
