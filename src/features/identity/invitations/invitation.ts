import { AtlasError } from '../../../errors.ts';
import type { Role } from '../roles.ts';

/** An invitation that nobody has accepted yet. Its token is in the mail only. */
export interface Invitation {
  readonly id: string;
  readonly organization: string;
  /** In the form of `normalizeEmail`. */
  readonly email: string;
  readonly role: Role;
  /** The ID of the user or key that sent it. */
  readonly invitedBy: string;
  readonly createdAt: Date;
  readonly expiresAt: Date;
}

/** For how long an invitation can be accepted. */
export const INVITATION_DAYS = 7;
/** How many invitations of an organization can be open, and how many it can send in an hour. */
export const OPEN_INVITATIONS_MAX = 100;
export const HOURLY_INVITATIONS_MAX = 50;

export const invitationNotFound = (id: string) =>
  new AtlasError('invitation_not_found', `The organization has no open invitation with the ID ${id}.`);

/** One error for every reason, so that a token that leaked says nothing about whom it was for. */
export const invitationInvalid = () =>
  new AtlasError('invitation_invalid', 'There is no open invitation with this token for your address.');
