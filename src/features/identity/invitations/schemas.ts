import { z } from '@hono/zod-openapi';
import { TimestampSchema, UuidSchema } from '../../../http/schemas.ts';
import { DEMO } from '../../../utils/demo-data.ts';
import { EmailSchema } from '../email-schema.ts';
import { OwnOrganizationIdSchema } from '../organization-path.ts';
import { RoleSchema } from '../role-schema.ts';
import { OPEN_INVITATIONS_MAX } from './invitation.ts';

const TOKEN = /^atlas_once_[\w-]{43}$/;

const InvitationIdSchema = UuidSchema.openapi({
  example: DEMO.spareInvitation,
  description: 'The ID of an invitation.',
});

export const InvitationPathSchema = z.object({
  id: OwnOrganizationIdSchema,
  invitationId: InvitationIdSchema,
});

export const NewInvitationSchema = z
  .strictObject({ email: EmailSchema.openapi({ example: 'grace@demo.example' }), role: RoleSchema })
  .openapi('NewInvitation');

export const InvitationSchema = z
  .strictObject({
    id: InvitationIdSchema,
    email: z.string().openapi({ example: 'grace@demo.example' }),
    role: RoleSchema,
    invitedBy: z.string().openapi({ description: 'The ID of the user or key that sent it.' }),
    createdAt: TimestampSchema,
    expiresAt: TimestampSchema,
  })
  .openapi('Invitation');

export const InvitationListSchema = z
  .strictObject({ invitations: z.array(InvitationSchema).max(OPEN_INVITATIONS_MAX) })
  .openapi('InvitationList');

export const NewAcceptanceSchema = z
  .strictObject({
    token: z.string().regex(TOKEN, 'must be the token in the mail: atlas_once_ and 43 characters').openapi({
      description: 'The token in the mail.',
      example: 'atlas_once_OOt0pVIc5YTEaHnVCcfWI3XbVnQnzWjSPEOnTjWGhOY',
    }),
  })
  .openapi('NewAcceptance');

export const AcceptanceSchema = z
  .strictObject({
    organization: z.string().openapi({
      example: DEMO.owner,
      description: 'The ID of the organization. To act for it: `PUT /v1/sessions/current/organization`.',
    }),
    role: RoleSchema,
  })
  .openapi('Acceptance');
