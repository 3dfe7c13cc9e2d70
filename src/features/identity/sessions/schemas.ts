import { z } from '@hono/zod-openapi';
import { textSchema } from '../../../http/schemas.ts';
import { DEMO } from '../../../utils/demo-data.ts';
import { SessionSchema } from '../session-resource.ts';

const ORGANIZATION_LENGTH_MAX = 1000;

export const OrganizationChoiceSchema = z
  .strictObject({
    organization: textSchema(ORGANIZATION_LENGTH_MAX).nullable().openapi({
      example: DEMO.owner,
      description: 'The organization to act for; null for none.',
    }),
  })
  .openapi('OrganizationChoice');

export const SessionIdSchema = z
  .string()
  .regex(/^(?:[0-9A-Za-z]{16}|current)$/, 'must be 16 letters and digits, or current')
  .openapi({ example: 'current', description: 'The public ID of a session, or `current`.' });

export const SessionListSchema = z.strictObject({ sessions: z.array(SessionSchema) }).openapi('SessionList');
