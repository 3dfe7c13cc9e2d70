import { z } from '@hono/zod-openapi';
import { NextCursorSchema, TimestampSchema, UuidSchema } from '../../../http/schemas.ts';
import { DEMO } from '../../../utils/demo-data.ts';
import { OwnOrganizationIdSchema } from '../organization-path.ts';
import { RoleSchema } from '../role-schema.ts';

const UserIdSchema = UuidSchema.openapi({ example: DEMO.user, description: 'The ID of a user.' });

export const MemberIdSchema = z.object({ id: OwnOrganizationIdSchema, userId: UserIdSchema });
export const SpareMemberIdSchema = z.object({
  id: OwnOrganizationIdSchema,
  userId: UserIdSchema.openapi({ example: DEMO.spareUser }),
});

export const NewRoleSchema = z.strictObject({ role: RoleSchema }).openapi('NewRole');

export const MemberSchema = z
  .strictObject({
    userId: UserIdSchema,
    email: z.string().openapi({ example: 'ada@demo.example' }),
    name: z.string().openapi({ example: 'Ada' }),
    role: RoleSchema,
    joinedAt: TimestampSchema,
  })
  .openapi('Member');

export const MemberPageSchema = z
  .strictObject({ members: z.array(MemberSchema), nextCursor: NextCursorSchema })
  .openapi('MemberPage');
