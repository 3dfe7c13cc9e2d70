import type { Actor } from '../../../utils/actor.ts';
import type { MemberService } from '../members/service.ts';
import { hashOneTimeToken } from '../one-time-token.ts';
import type { Role } from '../roles.ts';
import type { Standing } from '../standing/service.ts';
import { invitationInvalid } from './invitation.ts';
import type { InvitationRepository, Tx } from './repository.ts';

/** What somebody got by accepting an invitation. */
export interface Acceptance {
  readonly organization: string;
  readonly role: Role;
}

/** A user with a confirmed address, or one whose address the token confirms. */
export interface Invitee {
  readonly userId: string;
  /** In the form of `normalizeEmail`. */
  readonly email: string;
  readonly token: string;
}

/**
 * Makes a user a member, in a transaction that has locked nothing: a new user is stored after {@link LockInvited}.
 * Throws `AtlasError`: `invitation_invalid` unless the invitation is open and for this address.
 */
export type AcceptInvitation = (tx: Tx, actor: Actor, invitee: Invitee) => Promise<Acceptance>;

/**
 * Locks the organization of an invitation, and returns its ID. A transaction does it before it stores a user: another
 * one that stores the same user with the organization locked would wait for it, and it for the other. Throws
 * `invitation_invalid`.
 */
export type LockInvited = (tx: Tx, token: string) => Promise<string>;

export function createLockInvited(
  repository: Pick<InvitationRepository, 'organizationOf'>,
  standing: Pick<Standing, 'lock'>,
): LockInvited {
  return async (tx, token) => {
    const organization = await repository.organizationOf(tx, hashOneTimeToken(token));
    if (organization === null) throw invitationInvalid();
    await standing.lock(tx, organization);
    return organization;
  };
}

export function createAcceptInvitation(
  repository: Pick<InvitationRepository, 'take' | 'record'>,
  lockInvited: LockInvited,
  addMember: MemberService['add'],
): AcceptInvitation {
  return async (tx, actor, { userId, email, token }) => {
    const organization = await lockInvited(tx, token);
    const secretHash = hashOneTimeToken(token);
    const invitation = await repository.take(tx, organization, secretHash, email);
    if (invitation === null) throw invitationInvalid();
    const role = await addMember(tx, actor, organization, userId, invitation.role);
    await repository.record(tx, actor, 'accepted', invitation);
    return { organization, role };
  };
}
