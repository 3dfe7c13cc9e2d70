import { AtlasError } from '../../errors.ts';
import type { Dependency } from '../../resilience/dependency.ts';

/** What an authorization request and its response have in common. All are random, for one sign-in each. */
export interface AuthorizationFlow {
  /** Where the provider sends the browser back to. */
  readonly redirectUri: string;
  readonly state: string;
  readonly nonce: string;
  /** Of PKCE (RFC 7636). */
  readonly verifier: string;
  /** How long ago somebody may have signed in at the provider before it asks them again. */
  readonly maxAgeSeconds: number;
}

/** Who the provider says that somebody is, from an ID token that was verified. */
export interface ProviderIdentity {
  readonly issuer: string;
  readonly subject: string;
  /** As the provider has it; null if it says none. */
  readonly email: string | null;
  /** Whether the provider says that the address belongs to the person. */
  readonly isEmailVerified: boolean;
  readonly name: string;
  /** When they signed in at the provider; 1970 if it does not say. */
  readonly authenticatedAt: Date;
}

/**
 * An OpenID Connect provider: authorization code flow with PKCE, state and nonce (OpenID Connect Core 1.0, RFC 9700).
 * All throw `provider_unavailable` if it does not respond in time, or responds with an error of its own.
 */
export interface IdentityProvider {
  /** Its name for people. */
  readonly name: string;
  /** Returns where to send the browser of a person. */
  authorizationUrl(flow: AuthorizationFlow, signal: AbortSignal): Promise<string>;
  /**
   * Exchanges the code in the URL that the provider sent the browser to. Throws `provider_sign_in_failed` unless state,
   * nonce, issuer, audience, signature and times of the response are those of the flow.
   */
  identify(callback: URL, flow: AuthorizationFlow, signal: AbortSignal): Promise<ProviderIdentity>;
  readonly dependency: Dependency;
}

/** The provider cannot be used now. */
export const providerUnavailable = (cause: unknown) =>
  new AtlasError('provider_unavailable', 'The provider does not respond as it should. Try again later.', {
    cause,
    retryAfterSeconds: 10,
    remedy: 'Check that OIDC_ISSUER can be reached from here, and serves /.well-known/openid-configuration.',
  });

/** What the provider, or the browser, has sent is not the response to this sign-in. */
export const providerSignInFailed = (detail: string, cause?: unknown) =>
  new AtlasError('provider_sign_in_failed', detail, cause === undefined ? {} : { cause });
