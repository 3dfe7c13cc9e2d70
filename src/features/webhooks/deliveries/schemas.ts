import { z } from '@hono/zod-openapi';
import { TimestampSchema, UuidSchema } from '../../../http/schemas.ts';
import { DELIVERY_STATES } from './domain.ts';

const PositionSchema = z
  .string()
  .regex(/^(?:0|[1-9]\d{0,14})$/, 'must be a position that GET /v1/events told')
  .openapi({ example: '4711' });

/** PostgreSQL has no year 0, and a year of five digits is written otherwise. An offset can lead there. */
function isStorable(time: string): boolean {
  const year = new Date(time).getUTCFullYear();
  return year >= 1 && year <= 9999;
}

const deliveryMembers = {
  id: UuidSchema,
  webhookId: UuidSchema,
  eventId: z.string().openapi({ description: 'The `id` of the CloudEvent.' }),
  eventType: z.string(),
  state: z.enum(DELIVERY_STATES),
  attemptCount: z.int().min(0).openapi({ description: 'Attempts that were begun.' }),
  nextAttemptAt: TimestampSchema.nullable().openapi({
    description: 'Null when none is to come, or while one runs.',
  }),
  createdAt: TimestampSchema,
};

export const DeliverySchema = z.strictObject(deliveryMembers).openapi('WebhookDelivery');

const AttemptSchema = z
  .strictObject({
    number: z.int().min(1),
    startedAt: TimestampSchema,
    durationMs: z.int().min(0),
    status: z.int().nullable().openapi({ description: 'Of the answer; null when there was none.' }),
    failure: z
      .string()
      .nullable()
      .openapi({
        description:
          'Null for a success. `status`: the answer was no success. Without an answer: `target_refused`, ' +
          '`name_not_resolved`, `connection_failed`, `tls_failed`, `timeout`, `invalid_answer` or `internal`.',
      }),
  })
  .openapi('WebhookAttempt');

export const DeliveryDetailSchema = z
  .strictObject({
    ...deliveryMembers,
    body: z.string().openapi({ description: 'What is posted: the CloudEvent as JSON, as it is signed.' }),
    attempts: z.array(AttemptSchema).openapi({ description: 'The last 50, newest first.' }),
  })
  .openapi('WebhookDeliveryDetail');

export const DeliveryPageSchema = z
  .strictObject({ deliveries: z.array(DeliverySchema), nextCursor: z.string().nullable() })
  .openapi('WebhookDeliveryPage');

export const StateQuerySchema = z.enum(DELIVERY_STATES).optional();

export const ReplaySchema = z
  .strictObject({
    since: z.iso
      .datetime({ offset: true, error: 'must be a time of RFC 3339' })
      .max(40)
      .refine(isStorable, 'must be a time of the years 1 to 9999, in UTC')
      .optional()
      .openapi({ description: 'Events that happened from then on.', example: '2026-01-31T12:00:00Z' }),
    afterPosition: PositionSchema.optional().openapi({
      description: 'Events after this position, as GET /v1/events tells it; "0" for all.',
    }),
    includeDelivered: z
      .boolean()
      .optional()
      .openapi({ description: 'Also those that were delivered. False by default.' }),
  })
  .refine((replay) => (replay.since === undefined) !== (replay.afterPosition === undefined), {
    error: 'must have either since or afterPosition',
  })
  .openapi('WebhookReplay', { oneOf: [{ required: ['since'] }, { required: ['afterPosition'] }] });

export const ReplayedSchema = z
  .strictObject({
    deliveries: z.int().min(0).openapi({ description: 'Deliveries that were made pending.' }),
    nextPosition: PositionSchema.nullable().openapi({
      description: 'The `afterPosition` to go on with; null when there are no more events.',
    }),
  })
  .openapi('WebhookReplayed');
