import type { EnqueueMail } from '../mail/service.ts';
import type { Invitation } from './invitation.ts';

/** What a mail with an invitation says besides the invitation. */
export interface InvitationMail {
  readonly invitation: Invitation;
  readonly token: string;
  /** The name of the organization. */
  readonly organization: string;
  /** The address of the user who invites; null if a key does. */
  readonly inviter: string | null;
  /** Where people find this Atlas; null if it is unknown. */
  readonly publicOrigin: string | null;
}

/** Returns the mail that invites somebody, whether they have an account or not. */
export function invitationMail({
  invitation,
  token,
  organization,
  inviter,
  publicOrigin: origin,
}: InvitationMail): Parameters<EnqueueMail>[1] {
  const { email, role, expiresAt } = invitation;
  const who = inviter === null ? 'You are invited' : `${inviter} invites you`;
  const at = origin === null ? '' : ` at ${origin}`;
  const minute = `${expiresAt.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
  return {
    recipient: email,
    organization: invitation.organization,
    subject: `Invitation to ${organization}`,
    text: `${who} to the organization "${organization}"${at}, with the role ${role}.

Your invitation, until ${minute}:

${token}

If you have an account with this address, sign in, and send it as the token:
POST ${origin ?? ''}/v1/invitations/acceptances

If you have none, sign up with this address, and send it as the invitation:
POST ${origin ?? ''}/v1/users

It works once, and only for this address. If you did not expect it, ignore this mail.
`,
    expiresAt,
  };
}
