/** How long a sign-in through the provider may take, and how long what it still needs may take after that. */
export const FLOW_MINUTES = 10;

/** What an authorization request and its response have in common. */
export interface AuthorizationFlow {
  /** Where the provider sends the browser back to. */
  readonly redirectUri: string;
  readonly state: string;
  readonly nonce: string;
  /** Of PKCE (RFC 7636). */
  readonly verifier: string;
}

/** Who the provider says that somebody is. */
export interface ProviderIdentity extends LinkedIdentity {
  readonly email: string | null;
  readonly isEmailVerified: boolean;
  readonly name: string;
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
