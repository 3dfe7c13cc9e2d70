import { z } from '@hono/zod-openapi';
import { textSchema } from '../../http/schemas.ts';
import { DEMO } from '../../utils/demo-data.ts';

// As much as a URL should have. Organizations are named by text of any length.
const ID_LENGTH_MAX = 1000;

/** The ID of any organization. */
export const OrganizationIdSchema = textSchema(ID_LENGTH_MAX).openapi({ example: DEMO.organization });

/** The ID of the organization that the caller acts for. */
export const OwnOrganizationIdSchema = textSchema(ID_LENGTH_MAX).openapi({
  example: DEMO.owner,
  description: 'The ID of the organization that you act for, or `current`. All others are 404.',
});

/** The path of a route of the organization that the caller acts for. */
export const OwnOrganizationPathSchema = z.object({ id: OwnOrganizationIdSchema });
