import { AtlasError } from '../../errors.ts';

/** A person. */
export interface User {
  readonly id: string;
  /** In the form of `normalizeEmail`. */
  readonly email: string;
  readonly name: string;
  readonly createdAt: Date;
  /** When the person has shown that the address is theirs; null before. */
  readonly confirmedAt: Date | null;
  readonly hasPassword: boolean;
  readonly hasSecondFactor: boolean;
}

/** What signing in needs to know of a user. */
export interface UserSecrets extends User {
  /** Null for somebody who signs in through a provider only. */
  readonly passwordHash: string | null;
  /** Whether an operator has locked the person out. */
  readonly isLocked: boolean;
}

/** What a one-time token of a mail is for. */
export type TokenPurpose = 'confirm_email' | 'reset_password';

/** How long a one-time token is valid. */
export const TOKEN_MINUTES = 30;
/** Users who never confirmed their address are deleted after this. */
export const UNCONFIRMED_DAYS = 7;

/** Returns the user of a session. Throws `unauthenticated` if it was deleted meanwhile. */
export function existing<T extends User>(user: T | null): T {
  if (user === null) throw new AtlasError('unauthenticated', 'The user of this session was deleted.');
  return user;
}
