import { z } from '@hono/zod-openapi';
import { UuidSchema } from '../../http/schemas.ts';
import { DEMO, DEMO_KINDS } from '../../utils/demo-data.ts';

const IF_MATCH_LENGTH_MAX = 1000;
const KIND = /^[a-z][a-z0-9-]{0,62}$/;

export const KindSchema = z
  .string()
  .regex(KIND, 'must be 1 to 63 lowercase letters, digits, and hyphens, and begin with a letter')
  .openapi({ example: DEMO_KINDS.identity });

export const KindParamsSchema = z.object({ kind: KindSchema });
export const AccountParamsSchema = z.object({ id: UuidSchema.openapi({ example: DEMO.alice }) });
export const DocumentParamsSchema = AccountParamsSchema.extend({ kind: KindSchema });

export const VersionSchema = z.int().min(1).openapi({ example: 1 });

export const VersionQuerySchema = z.strictObject({
  version: z
    .string()
    .regex(/^[1-9]\d{0,3}$/, 'must be the number of a version')
    .transform(Number)
    .optional()
    .openapi({
      description: 'A former version; the newest by default.',
      param: { name: 'version', in: 'query', schema: { type: 'integer', minimum: 1, maximum: 9999 } },
    }),
});

const ifMatch = (description: string) =>
  z.string().max(IF_MATCH_LENGTH_MAX).optional().openapi({ description });

/** For a PUT that creates or replaces. */
export const ReplaceHeadersSchema = z.object({
  'If-Match': ifMatch(
    'The ETag you read, or `*` for any version, to replace what is there. Without it the request only creates: if there is something else already, the response is 428.',
  ),
});

export const DeleteHeadersSchema = z.object({
  'If-Match': ifMatch('The ETag you read, to delete only this version.'),
});

export const ConditionalHeadersSchema = z.object({
  'If-None-Match': z.string().optional().openapi({ description: 'Returns 304 if it still has this ETag.' }),
});

export const ETAG = {
  ETag: { description: 'The version, for If-Match', schema: { type: 'string' } },
} as const;
export const NOT_MODIFIED = { 304: { description: 'It still has the ETag of If-None-Match' } };
