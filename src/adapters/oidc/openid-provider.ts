import {
  allowInsecureRequests,
  authorizationCodeGrant,
  buildAuthorizationUrl,
  ClientSecretBasic,
  ClientSecretPost,
  Configuration,
  calculatePKCECodeChallenge,
  customFetch,
  discovery,
  type ExportedJWKSCache,
  enableNonRepudiationChecks,
  getJwksCache,
  type ServerMetadata,
  setJwksCache,
} from 'openid-client';
import { AtlasError } from '../../errors.ts';
import { Dependency } from '../../resilience/dependency.ts';
import { toOneLine } from '../../utils/one-line.ts';
import { boundedFetch } from './bounded-fetch.ts';
import {
  type IdentityProvider,
  type ProviderIdentity,
  providerSignInFailed,
  providerUnavailable,
} from './identity-provider.ts';

/** How Atlas is known to a provider. */
export interface OpenIdOptions {
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret: string;
  /** For people, such as `Example SSO`. */
  readonly name: string;
  readonly failureThreshold: number;
  readonly recoveryTimeoutMs: number;
}

const SCOPE = 'openid email profile';
// Keys and endpoints change rarely. A key that is unknown is looked up again before that.
const METADATA_MS = 3_600_000;
const TIMEOUT_MS = 8000;
const CALLS = { concurrencyMax: 8, waitingMax: 32, timeoutFloorMs: TIMEOUT_MS, timeoutMaxMs: TIMEOUT_MS };
const NAME_LENGTH_MAX = 200;
const SUBJECT = /^[\x20-\x7e]{1,255}$/;
const UNANSWERED: readonly string[] = ['OAUTH_TIMEOUT', 'OAUTH_ABORT'];

/** The settings of the provider. */
export interface ProviderSettings {
  readonly OIDC_ISSUER?: string | undefined;
  readonly OIDC_CLIENT_ID?: string | undefined;
  readonly OIDC_CLIENT_SECRET?: string | undefined;
  readonly OIDC_NAME: string;
  readonly CIRCUIT_BREAKER_FAILURE_THRESHOLD: number;
  readonly CIRCUIT_BREAKER_RECOVERY_TIMEOUT: number;
}

/** Opens the provider of the settings; null if there is none. */
export function openIdentityProvider(settings: ProviderSettings): IdentityProvider | null {
  const { OIDC_ISSUER: issuer, OIDC_CLIENT_ID: clientId, OIDC_CLIENT_SECRET: clientSecret } = settings;
  if (issuer === undefined || clientId === undefined || clientSecret === undefined) return null;
  return openIdProvider({
    issuer,
    clientId,
    clientSecret,
    name: settings.OIDC_NAME,
    failureThreshold: settings.CIRCUIT_BREAKER_FAILURE_THRESHOLD,
    recoveryTimeoutMs: settings.CIRCUIT_BREAKER_RECOVERY_TIMEOUT * 1000,
  });
}

/** Opens a provider. It is first called when somebody signs in. */
export function openIdProvider(options: OpenIdOptions): IdentityProvider {
  const dependency = new Dependency({
    name: 'oidc',
    ...CALLS,
    failureThreshold: options.failureThreshold,
    recoveryTimeoutMs: options.recoveryTimeoutMs,
    attributes: { 'server.address': new URL(options.issuer).host },
    isFailure: (error) => !(error instanceof AtlasError),
    probe: (signal) => discover(options, signal),
    unavailable: providerUnavailable,
  });
  let metadata: { readonly of: ServerMetadata; readonly untilMs: number } | null = null;
  let keys: ExportedJWKSCache | undefined;

  /** Returns a client for one call, whose requests end with it. */
  async function client(signal: AbortSignal): Promise<Configuration> {
    if (metadata === null || metadata.untilMs <= performance.now())
      metadata = { of: await discover(options, signal), untilMs: performance.now() + METADATA_MS };
    const config = clientOf(options, metadata.of, signal);
    if (keys !== undefined) setJwksCache(config, keys);
    return config;
  }

  async function call<T>(
    operation: string,
    signal: AbortSignal,
    work: (config: Configuration) => Promise<T>,
  ): Promise<T> {
    try {
      return await dependency.call(operation, async (ending) => work(await client(ending)), { signal });
    } catch (error) {
      if (error instanceof AtlasError || signal.aborted) throw error;
      throw providerUnavailable(error);
    }
  }

  return {
    name: options.name,
    dependency,
    authorizationUrl: (flow, signal) =>
      call('authorize', signal, async (config) => {
        const challenge = await calculatePKCECodeChallenge(flow.verifier);
        const url = buildAuthorizationUrl(config, {
          redirect_uri: flow.redirectUri,
          scope: SCOPE,
          state: flow.state,
          nonce: flow.nonce,
          code_challenge: challenge,
          code_challenge_method: 'S256',
          max_age: String(flow.maxAgeSeconds),
        });
        return url.href;
      }),
    identify: (callback, flow, signal) =>
      call('identify', signal, async (config) => {
        // The code is for the redirect URI of the request, whatever host this one came to.
        const url = new URL(flow.redirectUri);
        url.search = callback.search;
        try {
          const tokens = await authorizationCodeGrant(config, url, {
            expectedState: flow.state,
            expectedNonce: flow.nonce,
            pkceCodeVerifier: flow.verifier,
            idTokenExpected: true,
          });
          const claims = tokens.claims()!;
          // OpenID Connect Core 1.0, section 2: others cannot be distinguished or stored as they are.
          if (!SUBJECT.test(claims.sub))
            throw providerSignInFailed('The provider names you in no valid way.');
          return identityOf(claims);
        } catch (error) {
          throw toRefusal(error);
        } finally {
          keys = getJwksCache(config);
        }
      }),
  };
}

const fetchUntil =
  (ending: AbortSignal) =>
  (url: string, { signal, ...init }: { signal?: AbortSignal | null | undefined }) =>
    boundedFetch(url, { ...init, signal: signal ? AbortSignal.any([signal, ending]) : ending });

/** Plain HTTP is for a provider on the same host only: the setting allows no other. */
const insecurely = (issuer: string) => (issuer.startsWith('http:') ? [allowInsecureRequests] : []);

async function discover(
  { issuer, clientId, clientSecret }: OpenIdOptions,
  signal: AbortSignal,
): Promise<ServerMetadata> {
  const config = await discovery(new URL(issuer), clientId, clientSecret, undefined, {
    [customFetch]: fetchUntil(signal),
    execute: insecurely(issuer),
    timeout: TIMEOUT_MS / 1000,
  });
  return config.serverMetadata();
}

function clientOf(
  { issuer, clientId, clientSecret }: OpenIdOptions,
  metadata: ServerMetadata,
  signal: AbortSignal,
): Configuration {
  const methods = metadata.token_endpoint_auth_methods_supported ?? ['client_secret_basic'];
  const authenticate = methods.includes('client_secret_basic') ? ClientSecretBasic : ClientSecretPost;
  const config = new Configuration(metadata, clientId, clientSecret, authenticate(clientSecret));
  config[customFetch] = fetchUntil(signal);
  config.timeout = TIMEOUT_MS / 1000;
  for (const allow of insecurely(issuer)) allow(config);
  // The ID token comes from the provider over TLS, and its signature is verified nevertheless.
  enableNonRepudiationChecks(config);
  return config;
}

/** Errors of the library that are about the response have such codes; all others mean that there was none. */
function toRefusal(error: unknown): unknown {
  const { code, error: reason } = error as { code?: unknown; error?: unknown };
  if (typeof code !== 'string' || !code.startsWith('OAUTH_') || UNANSWERED.includes(code)) return error;
  const isDenied = code === 'OAUTH_AUTHORIZATION_RESPONSE_ERROR' && reason === 'access_denied';
  return providerSignInFailed(
    isDenied ? 'You, or the provider, declined.' : 'The response of the provider is not one to this sign-in.',
    error,
  );
}

type Claims = Readonly<Record<string, unknown>> & { readonly iss: string; readonly sub: string };

function identityOf({ iss, sub, email, email_verified, name, auth_time }: Claims): ProviderIdentity {
  return {
    issuer: iss,
    subject: sub,
    email: typeof email === 'string' ? email : null,
    isEmailVerified: email_verified === true,
    // Not later than now, by whatever clock.
    authenticatedAt: new Date(
      typeof auth_time === 'number' ? Math.max(0, Math.min(auth_time * 1000, Date.now())) : 0,
    ),
    name: typeof name === 'string' ? toOneLine(name.slice(0, NAME_LENGTH_MAX).toWellFormed()) : '',
  };
}
