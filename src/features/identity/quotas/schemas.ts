import { z } from '@hono/zod-openapi';
import { NextCursorSchema, TimestampSchema, textSchema } from '../../../http/schemas.ts';
import { DEMO } from '../../../utils/demo-data.ts';
import { BURST_MAX, CONCURRENT_REQUESTS_MAX, QUOTA_KINDS, REQUESTS_PER_SECOND_MAX } from '../quota.ts';

// As much as a URL should have. Organizations are named by text of any length.
const ID_LENGTH_MAX = 1000;

/** What the path of a quota names. */
export const QuotaSubjectSchema = z.object({
  kind: z.enum(QUOTA_KINDS).openapi({ example: 'organization' }),
  id: textSchema(ID_LENGTH_MAX).openapi({
    example: DEMO.owner,
    description: 'Public ID of the key, or ID of the organization.',
  }),
});

const whole = (min: number, max: number) =>
  z.int('must be a whole number').min(min, `must be at least ${min}`).max(max, `must be at most ${max}`);

/** What an operator sets. Every member is required, so that none is reset unnoticed. */
export const QuotaSchema = z
  .strictObject({
    requestsPerSecond: whole(1, REQUESTS_PER_SECOND_MAX)
      .nullable()
      .openapi({ example: 100, description: 'Null: no limit.' }),
    burst: whole(0, BURST_MAX).openapi({
      example: 200,
      description: 'Requests beyond that rate that may follow an idle time at once.',
    }),
    concurrentRequests: whole(1, CONCURRENT_REQUESTS_MAX)
      .nullable()
      .openapi({ example: 50, description: 'Requests in flight at a time. Null: no limit.' }),
  })
  .openapi('Quota');

export const EffectiveQuotaSchema = z
  .strictObject({
    ...QuotaSubjectSchema.shape,
    ...QuotaSchema.shape,
    changedAt: TimestampSchema.nullable().openapi({
      description: 'When an operator set it; null if it is the default of the settings.',
    }),
  })
  .openapi('EffectiveQuota');

export const QuotaPageSchema = z
  .strictObject({ quotas: z.array(EffectiveQuotaSchema), nextCursor: NextCursorSchema })
  .openapi('QuotaPage');
