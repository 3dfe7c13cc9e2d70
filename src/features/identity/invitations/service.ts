import { type Idempotency, inTransaction } from '../../idempotency.ts';
import type { MemberService } from '../members/service.ts';
import { hashOneTimeToken } from '../one-time-token.ts';
import { personalSpaceOf } from '../organization-id.ts';
import { requireCovers } from '../role-limits.ts';
import type { Role } from '../roles.ts';
import type { OrganizationCaller, Standing } from '../standing/service.ts';
import {
  type Acceptance,
  type AcceptInvitation,
  createAcceptInvitation,
  createLockInvited,
  type LockInvited,
} from './accept-invitation.ts';
import { type Invitation, invitationInvalid, invitationNotFound } from './invitation.ts';
import { createSendInvitation, type SendInvitationPorts } from './send-invitation.ts';

/** An invitation as it is returned. */
export type InvitationResource = ReturnType<typeof toResource>;

interface Created<T> {
  readonly result: T;
  /** Whether an earlier request with the same Idempotency-Key did it. */
  readonly replayed: boolean;
}

/** Invitations to organizations. Everything throws `AtlasError`. */
export interface InvitationService {
  list(organization: string, signal?: AbortSignal): Promise<InvitationResource[]>;
  /**
   * Invites an address by mail, instead of an open invitation of the same address. Whether somebody has an account with
   * the address changes nothing.
   */
  create(
    caller: OrganizationCaller,
    content: { readonly email: string; readonly role: Role },
    idempotencyKey: string | undefined,
    signal?: AbortSignal,
  ): Promise<Created<InvitationResource>>;
  withdraw(caller: OrganizationCaller, id: string, signal?: AbortSignal): Promise<void>;
  /** Makes the user of a session a member. Their confirmed address must be that of the invitation. */
  accept(
    caller: OrganizationCaller & { readonly userId: string },
    token: string,
    idempotencyKey: string | undefined,
    signal?: AbortSignal,
  ): Promise<Created<Acceptance>>;
  readonly lockInvited: LockInvited;
  /** Makes a user who signs up with the token of an invitation a member. */
  readonly acceptAs: AcceptInvitation;
  /** Since the start of this process. */
  readonly stats: Readonly<Record<'created' | 'withdrawn' | 'accepted', number>>;
}

/** Dependencies of invitations. */
export interface InvitationPorts extends SendInvitationPorts {
  readonly standing: Standing;
  readonly addMember: MemberService['add'];
  readonly idempotency: Idempotency;
}

export function createInvitationService(ports: InvitationPorts): InvitationService {
  const { repository, standing, idempotency } = ports;
  const lockInvited = createLockInvited(repository, standing);
  const acceptInvitation = createAcceptInvitation(repository, lockInvited, ports.addMember);
  const sendInvitation = createSendInvitation(ports);
  const stats = { created: 0, withdrawn: 0, accepted: 0 };

  return {
    stats,
    lockInvited,
    acceptAs: acceptInvitation,
    list: async (organization, signal) => (await repository.list(organization, signal)).map(toResource),
    async create(caller, { email, role }, idempotencyKey, signal) {
      const { organization } = caller;
      const created = await idempotency.run(
        { owner: organization, key: idempotencyKey, content: ['createInvitation', email, role] },
        inTransaction(repository.transaction, signal, async (tx) => {
          await standing.lock(tx, organization);
          const held = await standing.require(tx, caller, 'members:write');
          return toResource(await sendInvitation(tx, { caller, held, email, role }));
        }),
        signal,
      );
      if (!created.replayed) stats.created++;
      return created;
    },
    async withdraw(caller, id, signal) {
      const { organization, actor } = caller;
      await repository.transaction(
        async (tx) => {
          await standing.lock(tx, organization);
          const held = await standing.require(tx, caller, 'members:write');
          const invitation = await repository.find(tx, organization, id);
          if (invitation === null) throw invitationNotFound(id);
          requireCovers(ports.scopesOfRoles, held, invitation.role);
          await repository.remove(tx, id);
          await repository.record(tx, actor, 'withdrawn', invitation);
        },
        { signal },
      );
      stats.withdrawn++;
    },
    async accept(caller, token, idempotencyKey, signal) {
      const { userId, actor } = caller;
      const content = ['acceptInvitation', Buffer.from(hashOneTimeToken(token)).toString('hex')] as const;
      const accepted = await idempotency.run(
        { owner: personalSpaceOf(userId), key: idempotencyKey, content },
        inTransaction(repository.transaction, signal, async (tx) => {
          const email = await repository.confirmedEmailOf(tx, userId);
          if (email === null) throw invitationInvalid();
          const acceptance = await acceptInvitation(tx, actor, { userId, email, token });
          await standing.require(tx, caller, 'me:write');
          return acceptance;
        }),
        signal,
      );
      if (!accepted.replayed) stats.accepted++;
      return accepted;
    },
  };
}

function toResource({ id, email, role, invitedBy, createdAt, expiresAt }: Invitation) {
  return {
    id,
    email,
    role,
    invitedBy,
    createdAt: createdAt.toISOString(),
    expiresAt: expiresAt.toISOString(),
  };
}
