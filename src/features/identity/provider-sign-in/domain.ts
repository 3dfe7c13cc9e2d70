/** How long a sign-in through the provider may take, and how long what it still needs may take after that. */
export const FLOW_MINUTES = 10;

/**
 * How long ago somebody may have signed in at the provider before it has to ask them again: usually, and for a session
 * that counts as a recent one. With either, it has to say when they did (OpenID Connect Core 1.0, section 3.1.2.1).
 */
export const USUAL_AGE_SECONDS = 30 * 86_400;
export const RECENT_AGE_SECONDS = 60;

/** What an authorization request and its response have in common. */
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

/** Who the provider says that somebody is. */
export interface ProviderIdentity extends LinkedIdentity {
  readonly email: string | null;
  readonly isEmailVerified: boolean;
  readonly name: string;
  /** When they signed in at the provider; 1970 if it does not say, as some do not. */
  readonly authenticatedAt: Date;
}

/** The provider, as signing in needs it. */
export interface Provider {
  readonly name: string;
  authorizationUrl(flow: AuthorizationFlow, signal: AbortSignal): Promise<string>;
  identify(callback: URL, flow: AuthorizationFlow, signal: AbortSignal): Promise<ProviderIdentity>;
}

/** A user as the provider knows it. */
export interface LinkedIdentity {
  readonly issuer: string;
  readonly subject: string;
}

/** An identity with which a user signs in. */
export interface StoredIdentity extends LinkedIdentity {
  readonly linkedAt: Date;
}

/** Identities of one user. */
export const IDENTITIES_PER_USER_MAX = 20;

/** An identity of which its user still has to prove something. */
export interface PendingIdentity extends LinkedIdentity {
  readonly userId: string;
  readonly email: string;
  /** Whether the password is needed, or else only the second factor. */
  readonly needsPassword: boolean;
}
