import { z } from '@hono/zod-openapi';
import { ROLES } from './roles.ts';

/** The role of a user in an organization. */
export const RoleSchema = z.enum(ROLES).openapi({
  description:
    'What somebody may do in the organization: read (`viewer`), pay and store files (`member`), manage keys, webhooks, and members (`admin`), or everything (`owner`).',
  example: 'viewer',
});
