/** A session as it is stored, without its secret. */
export interface Session {
  /** The public ID in its token. */
  readonly id: string;
  readonly userId: string;
  /** The organization it acts for; empty for none. */
  readonly organization: string;
  /** When the person proved who they are. */
  readonly authenticatedAt: Date;
  readonly createdAt: Date;
  /** When it was last used, within a minute. */
  readonly lastUsedAt: Date;
  /** When it ends at the latest. */
  readonly expiresAt: Date;
  /** The address that it was started from; empty if it is unknown. */
  readonly address: string;
  readonly userAgent: string;
}

/** A new session, or one with another token. The token is not stored. */
export interface StartedSession {
  readonly session: Session;
  readonly token: string;
}

/** How long sessions last. */
export interface SessionLimits {
  /** Without a request for this long, a session ends. */
  readonly idleHours: number;
  /** A session ends this long after the person has signed in, whatever it is used for. */
  readonly daysMax: number;
}

/** Sessions of one user. When another one starts, the oldest ends. */
export const SESSIONS_PER_USER_MAX = 20;
export const USER_AGENT_LENGTH_MAX = 256;

/** A session of somebody who signed in within this time is enough for what otherwise needs the password. */
export const RECENT_MINUTES = 10;

/** A session that the same browser or program has, which ends when it signs in. */
export interface FormerSession {
  readonly id: string;
  readonly userId: string;
}
