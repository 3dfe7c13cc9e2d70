import { z } from '@hono/zod-openapi';
import { TimestampSchema, UuidSchema } from '../../../../http/schemas.ts';
import { DEMO } from '../../../../utils/demo-data.ts';
import { EmailSchema } from '../../email-schema.ts';
import { RoleSchema } from '../../role-schema.ts';

export const UserIdSchema = z.object({ id: UuidSchema.openapi({ example: DEMO.user }) });

export const UserQuerySchema = z.strictObject({
  email: EmailSchema.openapi({
    example: 'ada@demo.example',
    description: 'The mail address of the user, in any case.',
  }),
});

export const UserAccessSchema = z
  .strictObject({
    id: UuidSchema.openapi({ example: DEMO.user }),
    email: z.string().openapi({ example: 'ada@demo.example' }),
    name: z.string().openapi({ example: 'Ada' }),
    createdAt: TimestampSchema,
    confirmedAt: TimestampSchema.nullable().openapi({
      description: 'When they confirmed their address; null if they have not, so that they cannot sign in.',
    }),
    lockedAt: TimestampSchema.nullable().openapi({
      description: 'Since when they are locked out; null if they are not.',
    }),
    organizations: z
      .array(
        z
          .strictObject({
            id: z.string().openapi({ example: DEMO.owner }),
            role: RoleSchema,
          })
          .openapi('UserRole'),
      )
      .openapi({ description: 'The organizations of the user, by ID.' }),
  })
  .openapi('UserAccess');

export const UserAccessListSchema = z
  .strictObject({ users: z.array(UserAccessSchema).max(1) })
  .openapi('UserAccessList');
