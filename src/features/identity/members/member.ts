import { AtlasError } from '../../../errors.ts';
import type { Role } from '../roles.ts';

/** A user in an organization. */
export interface Member {
  readonly userId: string;
  readonly email: string;
  readonly name: string;
  readonly role: Role;
  readonly joinedAt: Date;
}

/** How many members an organization can have. */
export const MEMBERS_MAX = 1000;

/** The error for the change after which an organization would have no owner. */
export const lastOwner = () =>
  new AtlasError('last_owner', 'This is the only owner of the organization, which must always have one.');
