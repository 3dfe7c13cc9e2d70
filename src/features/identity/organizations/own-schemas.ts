import { z } from '@hono/zod-openapi';
import { nameSchema, TimestampSchema } from '../../../http/schemas.ts';
import { DEMO } from '../../../utils/demo-data.ts';
import { OrganizationIdSchema } from '../organization-path.ts';
import { ORGANIZATIONS_OF_USER_MAX } from '../role-limits.ts';
import { RoleSchema } from '../role-schema.ts';

const NAME_LENGTH_MAX = 200;

export const AnyOrganizationPathSchema = z.object({
  id: OrganizationIdSchema.openapi({ description: 'The ID of an organization of yours.' }),
});

export const OwnOrganizationNameSchema = z
  .strictObject({
    name: nameSchema(NAME_LENGTH_MAX).openapi({ example: 'Example Ltd.' }),
  })
  .openapi('NewOrganizationName');

export const OwnOrganizationListSchema = z
  .strictObject({
    organizations: z
      .array(
        z
          .strictObject({
            id: z.string().openapi({ example: DEMO.owner }),
            name: z.string().openapi({ example: 'Example Ltd.' }),
            role: RoleSchema,
            createdAt: TimestampSchema,
            suspendedAt: TimestampSchema.nullable().openapi({
              description: 'Since when it is suspended; null if it is not.',
            }),
          })
          .openapi('OwnOrganization'),
      )
      .max(ORGANIZATIONS_OF_USER_MAX),
  })
  .openapi('OwnOrganizationList');
