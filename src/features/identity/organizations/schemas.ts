import { z } from '@hono/zod-openapi';
import { NextCursorSchema, nameSchema, TimestampSchema } from '../../../http/schemas.ts';
import { DEMO } from '../../../utils/demo-data.ts';
import { isReservedId } from '../organization-id.ts';
import { OrganizationIdSchema } from '../organization-path.ts';

const NAME_LENGTH_MAX = 200;

export const OrganizationPathSchema = z.object({ id: OrganizationIdSchema });

export const NewOrganizationIdSchema = z.object({
  id: OrganizationIdSchema.refine((id) => !isReservedId(id), 'is reserved, for test data or operators'),
});

export const OrganizationNameSchema = z
  .strictObject({ name: nameSchema(NAME_LENGTH_MAX).openapi({ example: 'Example Ltd.' }) })
  .openapi('OrganizationName');

export const OrganizationSchema = z
  .strictObject({
    id: z.string().openapi({ example: DEMO.organization, description: 'The owner of what its keys create.' }),
    name: z.string().openapi({ example: 'Example Ltd.' }),
    createdAt: TimestampSchema,
    suspendedAt: TimestampSchema.nullable().openapi({
      description: 'Since when its keys are refused; null if it is not suspended.',
    }),
  })
  .openapi('Organization');

export const OrganizationPageSchema = z
  .strictObject({ organizations: z.array(OrganizationSchema), nextCursor: NextCursorSchema })
  .openapi('OrganizationPage');
