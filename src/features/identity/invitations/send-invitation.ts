import { AtlasError } from '../../../errors.ts';
import type { EnqueueMail } from '../mail/service.ts';
import { makeOneTimeToken } from '../one-time-token.ts';
import { requireCovers } from '../role-limits.ts';
import type { Role, ScopesOfRoles } from '../roles.ts';
import type { OrganizationCaller } from '../standing/service.ts';
import { HOURLY_INVITATIONS_MAX, type Invitation, OPEN_INVITATIONS_MAX } from './invitation.ts';
import { invitationMail } from './invitation-mail.ts';
import type { InvitationRepository, Tx } from './repository.ts';

/** Whom to invite, by whom, and with what scopes of the caller. */
export interface InvitationToSend {
  readonly caller: OrganizationCaller;
  readonly held: readonly string[];
  readonly email: string;
  readonly role: Role;
}

/** Stores an invitation and its mail, in a transaction that has locked the organization. Throws `AtlasError`. */
export type SendInvitation = (tx: Tx, invitation: InvitationToSend) => Promise<Invitation>;

/** Dependencies of {@link createSendInvitation}. */
export interface SendInvitationPorts {
  readonly repository: InvitationRepository;
  readonly scopesOfRoles: ScopesOfRoles;
  readonly enqueueMail: EnqueueMail;
  /** Where people find this Atlas; null if it is unknown. */
  readonly publicOrigin: string | null;
}

export function createSendInvitation(ports: SendInvitationPorts): SendInvitation {
  const { repository, scopesOfRoles } = ports;

  async function requireRoom(tx: Tx, organization: string, isReplaced: boolean): Promise<void> {
    if (!isReplaced && (await repository.countOpen(tx, organization)) >= OPEN_INVITATIONS_MAX)
      throw new AtlasError(
        'too_many_invitations',
        `Your organization has ${OPEN_INVITATIONS_MAX} open invitations.`,
      );
    const recent = await repository.countRecent(tx, organization);
    if (recent.count >= HOURLY_INVITATIONS_MAX)
      throw new AtlasError(
        'too_many_mails',
        `Your organization has sent ${HOURLY_INVITATIONS_MAX} invitations within the last hour.`,
        { retryAfterSeconds: Math.max(1, recent.freeInSeconds ?? 1) },
      );
  }

  /** Writes the mail, unless its recipient got too many: the caller must not learn that others wrote to them. */
  async function write(tx: Tx, invitation: Invitation, token: string, userId: string | null): Promise<void> {
    const names = await repository.namesFor(tx, invitation.organization, userId);
    const mail = invitationMail({ ...names, invitation, token, publicOrigin: ports.publicOrigin });
    await ports.enqueueMail(tx, mail).catch((error: unknown) => {
      if (!(error instanceof AtlasError && error.code === 'too_many_mails')) throw error;
    });
  }

  return async (tx, { caller, held, email, role }) => {
    const { organization, actor, userId, keyId } = caller;
    requireCovers(scopesOfRoles, held, role);
    if (await repository.isMember(tx, organization, email))
      throw new AtlasError('already_member', `${email} is a member of the organization.`);
    const former = await repository.findByEmail(tx, organization, email);
    if (former !== null) requireCovers(scopesOfRoles, held, former.role);
    await requireRoom(tx, organization, former !== null);
    if (former !== null) await repository.record(tx, actor, 'withdrawn', former);
    const { token, hash: secretHash } = makeOneTimeToken();
    const invitedBy = userId ?? keyId;
    const content = { id: Bun.randomUUIDv7(), organization, email, role, invitedBy, secretHash };
    const invitation = await repository.save(tx, content);
    await repository.record(tx, actor, 'created', invitation);
    await write(tx, invitation, token, userId);
    return invitation;
  };
}
