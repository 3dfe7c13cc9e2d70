import { z } from '@hono/zod-openapi';
import { NextCursorSchema, TimestampSchema, UuidSchema } from '../../../http/schemas.ts';
import { DELIVERY_STATES } from './domain.ts';

const PositionSchema = z
  .string()
  .regex(/^(?:0|[1-9]\d{0,14})$/, 'must be a position returned by GET /v1/events')
  .openapi({ example: '4711' });

/** PostgreSQL has no year 0, and a different syntax for five-digit years; an offset can lead to either. */
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
  attemptCount: z.int().min(0).openapi({ description: 'The number of attempts started.' }),
  nextAttemptAt: TimestampSchema.nullable().openapi({
    description: 'When the next attempt is due; null if none is scheduled or one is in progress.',
  }),
  createdAt: TimestampSchema,
};

export const DeliverySchema = z.strictObject(deliveryMembers).openapi('WebhookDelivery');

const AttemptSchema = z
  .strictObject({
    number: z.int().min(1),
    startedAt: TimestampSchema,
    durationMs: z.int().min(0),
    status: z
      .int()
      .nullable()
      .openapi({ description: 'HTTP status of the response; null if there was none.' }),
    failure: z
      .string()
      .nullable()
      .openapi({
        description:
          'Null on success; `status` if the response was not 2xx. Without a response: `target_refused`, ' +
          '`name_not_resolved`, `connection_failed`, `tls_failed`, `timeout`, `invalid_answer`, or `internal`.',
      }),
  })
  .openapi('WebhookAttempt');

export const DeliveryDetailSchema = z
  .strictObject({
    ...deliveryMembers,
    body: z.string().openapi({ description: 'The body that is posted and signed: a CloudEvent as JSON.' }),
    attempts: z.array(AttemptSchema).openapi({ description: 'The last 50 attempts, newest first.' }),
  })
  .openapi('WebhookDeliveryDetail');

export const DeliveryPageSchema = z
  .strictObject({ deliveries: z.array(DeliverySchema), nextCursor: NextCursorSchema })
  .openapi('WebhookDeliveryPage');

export const StateQuerySchema = z.enum(DELIVERY_STATES).optional();

/** Requires a member that is not null. */
const requiring = (name: string) => ({
  required: [name],
  // Not `type: 'string'`, which ReDoc takes for a contradiction to the type of the member.
  properties: { [name]: { not: { type: 'null' as const } } },
});

export const ReplaySchema = z
  .strictObject({
    since: z.iso
      .datetime({ offset: true, error: 'must be an RFC 3339 timestamp' })
      .max(40)
      .refine(isStorable, 'must be between the years 1 and 9999, in UTC')
      .nullish()
      .openapi({ description: 'Send events since this time.', example: '2026-01-31T12:00:00Z' }),
    afterPosition: PositionSchema.nullish().openapi({
      description: 'Send events after this position, as returned by GET /v1/events; "0" for all.',
    }),
    includeDelivered: z
      .boolean()
      .nullish()
      .openapi({ description: 'Also send events that were delivered. The default is false.' }),
  })
  .refine(({ since, afterPosition }) => (typeof since === 'string') !== (typeof afterPosition === 'string'), {
    error: 'must have either since or afterPosition, not both',
  })
  .openapi('WebhookReplay', { oneOf: [requiring('since'), requiring('afterPosition')] });

export const ReplayedSchema = z
  .strictObject({
    deliveries: z.int().min(0).openapi({ description: 'The number of deliveries that are now pending.' }),
    nextPosition: PositionSchema.nullable().openapi({
      description: 'The `afterPosition` of the next call; null if there are no more events.',
    }),
  })
  .openapi('WebhookReplayed');
